//! The tree of a PL/pgSQL body, as libpg_query writes it in JSON.

use serde_json::Value;

use super::Reader;
use crate::sql;

impl Reader<'_> {
    /// Reads a whole `DO` or `CREATE FUNCTION` statement.
    pub(super) fn plpgsql(&mut self, statement: &str, conditional: bool) {
        match sql::parse_plpgsql(statement) {
            Ok(functions) => {
                for function in functions.as_array().into_iter().flatten() {
                    for variable in function["PLpgSQL_function"]["datums"].as_array().into_iter().flatten() {
                        self.condition(&variable["PLpgSQL_var"]["default_val"], conditional);
                        // Whether it is opened is not asked.
                        self.query(&variable["PLpgSQL_var"]["cursor_explicit_expr"], true);
                    }
                    self.statement(&function["PLpgSQL_function"]["action"], conditional);
                }
            }
            Err(reason) => self.opaque(format!("PL/pgSQL that does not parse: {reason}")),
        }
    }

    fn statements(&mut self, list: &Value, conditional: bool) {
        for statement in list.as_array().into_iter().flatten() {
            self.statement(statement, conditional);
        }
    }

    fn statement(&mut self, statement: &Value, conditional: bool) {
        let Some((kind, fields)) = statement.as_object().and_then(|object| object.iter().next()) else {
            return;
        };
        match kind.as_str() {
            "PLpgSQL_stmt_block" => {
                let handlers = &fields["exceptions"]["PLpgSQL_exception_block"]["exc_list"];
                let around = (self.caught, self.spared);
                let goes_on = |condition: fn(&str) -> bool| {
                    handlers.as_array().into_iter().flatten().any(|handler| takes(handler, condition))
                };
                self.caught |= goes_on(|name| name == "insufficient_privilege");
                self.spared |= goes_on(|name| name.starts_with("duplicate_"));
                self.statements(&fields["body"], conditional);
                (self.caught, self.spared) = around;
                for handler in handlers.as_array().into_iter().flatten() {
                    self.statements(&handler["PLpgSQL_exception"]["action"], true);
                }
            }
            "PLpgSQL_stmt_execsql" => self.query(&fields["sqlstmt"], conditional),
            "PLpgSQL_stmt_perform" | "PLpgSQL_stmt_call" => self.query(&fields["expr"], conditional),
            "PLpgSQL_stmt_return_query" => {
                self.query(&fields["query"], conditional);
                self.execute(&fields["dynquery"], conditional);
            }
            "PLpgSQL_stmt_open" => {
                self.query(&fields["query"], conditional);
                self.execute(&fields["dynquery"], conditional);
            }
            "PLpgSQL_stmt_assign" => {
                if let Some(text) = text(&fields["expr"]) {
                    // Since Postgres 14 the text holds the whole assignment.
                    let value = text.split_once(":=").or_else(|| text.split_once('='));
                    self.expression(value.map_or(text, |(_, value)| value.trim()), conditional);
                }
            }
            "PLpgSQL_stmt_return" => self.condition(&fields["expr"], conditional),
            "PLpgSQL_stmt_if" => {
                self.condition(&fields["cond"], conditional);
                let branches = fields["elsif_list"].as_array();
                for branch in branches.into_iter().flatten() {
                    self.condition(&branch["PLpgSQL_if_elsif"]["cond"], conditional);
                }
                self.statements(&fields["then_body"], true);
                for branch in branches.into_iter().flatten() {
                    self.statements(&branch["PLpgSQL_if_elsif"]["stmts"], true);
                }
                self.statements(&fields["else_body"], true);
            }
            "PLpgSQL_stmt_case" => {
                self.condition(&fields["t_expr"], conditional);
                for branch in fields["case_when_list"].as_array().into_iter().flatten() {
                    self.condition(&branch["PLpgSQL_case_when"]["expr"], conditional);
                    self.statements(&branch["PLpgSQL_case_when"]["stmts"], true);
                }
                self.statements(&fields["else_stmts"], true);
            }
            "PLpgSQL_stmt_loop" => self.statements(&fields["body"], conditional),
            "PLpgSQL_stmt_while" => {
                self.condition(&fields["cond"], conditional);
                self.statements(&fields["body"], true);
            }
            "PLpgSQL_stmt_fors" => {
                self.query(&fields["query"], conditional);
                self.statements(&fields["body"], true);
            }
            "PLpgSQL_stmt_fori" => {
                self.condition(&fields["lower"], conditional);
                self.condition(&fields["upper"], conditional);
                self.statements(&fields["body"], true);
            }
            "PLpgSQL_stmt_forc" => self.statements(&fields["body"], true),
            "PLpgSQL_stmt_foreach_a" => {
                self.condition(&fields["expr"], conditional);
                self.statements(&fields["body"], true);
            }
            "PLpgSQL_stmt_commit" => self.sql("COMMIT", conditional),
            "PLpgSQL_stmt_rollback" => self.sql("ROLLBACK", conditional),
            "PLpgSQL_stmt_raise"
            | "PLpgSQL_stmt_return_next"
            | "PLpgSQL_stmt_assert"
            | "PLpgSQL_stmt_exit" => {
                self.condition(&fields["expr"], conditional);
                self.condition(&fields["cond"], conditional);
                self.conditions(&fields["params"], conditional);
            }
            "PLpgSQL_stmt_dynexecute" => {
                self.conditions(&fields["params"], conditional);
                self.execute(&fields["query"], conditional);
            }
            "PLpgSQL_stmt_dynfors" => {
                self.conditions(&fields["params"], conditional);
                self.execute(&fields["query"], conditional);
                self.statements(&fields["body"], true);
            }
            _ => {}
        }
    }

    fn query(&mut self, expression: &Value, conditional: bool) {
        if let Some(text) = text(expression) {
            self.sql(text, conditional);
        }
    }

    fn condition(&mut self, expression: &Value, conditional: bool) {
        if let Some(text) = text(expression) {
            self.expression(text, conditional);
        }
    }

    fn conditions(&mut self, expressions: &Value, conditional: bool) {
        for expression in expressions.as_array().into_iter().flatten() {
            self.condition(expression, conditional);
        }
    }

    fn execute(&mut self, expression: &Value, conditional: bool) {
        if let Some(text) = text(expression) {
            self.dynamic(text, conditional);
        }
    }
}

fn text(expression: &Value) -> Option<&str> {
    expression["PLpgSQL_expr"]["query"].as_str()
}

/// Whether a handler takes such an error and does not raise it again.
fn takes(handler: &Value, condition: fn(&str) -> bool) -> bool {
    let handler = &handler["PLpgSQL_exception"];
    let takes = handler["conditions"].as_array().into_iter().flatten().any(|taken| {
        let name = taken["PLpgSQL_condition"]["condname"].as_str().unwrap_or_default();
        name == "others" || condition(name)
    });
    let raises = handler["action"].as_array().into_iter().flatten().any(|statement| {
        // 21 is ERROR, the level of RAISE without one.
        statement["PLpgSQL_stmt_raise"]["elog_level"].as_i64().is_some_and(|level| level >= 21)
    });
    takes && !raises
}
