//! SQL inside DO blocks and routine bodies.
//!
//! Conditions are not evaluated: what stands under one may or may not run. SQL that is put together
//! at run time is reported as [`Body::Opaque`], never guessed.

mod plpgsql;

use super::{Catalog, Nesting, Routine, RoutineKind, Session, Transaction};
use crate::sql::{
    self,
    ast::{self, AExprKind, DoStmt, Name, Node, NodeEnum, a_const},
};

/// What was found in a body that runs at migration time.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A statement that runs (or may run).
    Statement {
        node: Box<NodeEnum>,
        nesting: Nesting,
        text: String,
        /// The search path that a routine sets for its own body.
        path: Option<Vec<String>>,
    },
    /// Something that cannot be read, and why: dynamic SQL, an unknown language.
    Opaque(String),
}

/// Routines that call routines are followed this deep.
const DEPTH: usize = 4;

/// The statements inside a DO block, or inside a routine that the statement calls.
pub(crate) fn bodies(node: &NodeEnum, text: &str, catalog: &Catalog, session: &Session) -> Vec<Body> {
    let mut reader =
        Reader { catalog, session, path: None, depth: 0, caught: false, spared: false, found: Vec::new() };
    match node {
        NodeEnum::DoStmt(block) => reader.block(block, text),
        _ => reader.called(node, false),
    }
    reader.found
}

struct Reader<'a> {
    catalog: &'a Catalog,
    session: &'a Session,
    path: Option<Vec<String>>,
    depth: usize,
    /// Whether a block around goes on where a privilege is missing.
    caught: bool,
    /// Whether it goes on where something is there already.
    spared: bool,
    found: Vec<Body>,
}

impl Reader<'_> {
    fn block(&mut self, block: &DoStmt, text: &str) {
        let option = |name: &str| {
            block.args.iter().find_map(|node| match &node.node {
                Some(NodeEnum::DefElem(option)) if option.defname == name => {
                    option.arg.as_deref().and_then(ast::string)
                }
                _ => None,
            })
        };
        match option("language").unwrap_or("plpgsql") {
            "plpgsql" => self.plpgsql(text, false),
            other => self.opaque(format!("a DO block in {other}")),
        }
    }

    fn opaque(&mut self, reason: impl Into<String>) {
        self.found.push(Body::Opaque(reason.into()));
    }

    /// SQL text that runs: each statement of it, and what it calls.
    fn sql(&mut self, text: &str, conditional: bool) {
        match sql::parse(text) {
            Ok(nodes) => {
                for node in nodes.into_iter().filter_map(|node| node.node) {
                    if let NodeEnum::DoStmt(block) = &node {
                        self.block(block, text);
                        continue;
                    }
                    self.called(&node, conditional);
                    self.found.push(Body::Statement {
                        node: Box::new(node),
                        nesting: Nesting::Body { conditional, caught: self.caught, spared: self.spared },
                        text: text.trim().to_owned(),
                        path: self.path.clone(),
                    });
                }
            }
            Err(error) => self.opaque(format!("SQL that does not parse: {}", error.message)),
        }
    }

    /// An expression: of interest only where it reads a table or calls a routine that is known.
    fn expression(&mut self, text: &str, conditional: bool) {
        let text = format!("SELECT {text}");
        let Ok(nodes) = sql::parse(&text) else { return };
        let reads = nodes.iter().filter_map(|node| node.node.as_ref()).any(|node| {
            !self.catalog.reads(node, self.session).is_empty() || !self.routines(node).is_empty()
        });
        if reads {
            self.sql(&text, conditional);
        }
    }

    /// What `SELECT f()`, `CALL p()` and other statements with calls in them run.
    fn called(&mut self, node: &NodeEnum, conditional: bool) {
        if !evaluates(node) || self.depth >= DEPTH {
            return;
        }
        // Without a row, it is not called.
        let query = match node {
            NodeEnum::InsertStmt(insert) => insert.select_stmt.as_ref().and_then(|query| query.node.as_ref()),
            _ => Some(node),
        };
        let of_rows = |query| !self.catalog.reads(query, self.session).is_empty();
        let conditional = conditional || query.is_some_and(of_rows);
        if let Some(name) = self.runs_its_argument(node) {
            self.opaque(format!("`{name}` runs SQL that is given to it as text"));
        }
        for routine in self.routines(node) {
            self.depth += 1;
            self.routine(&routine, conditional);
            self.depth -= 1;
        }
    }

    /// A routine that the model lacks and that, by its name, executes what it is given.
    fn runs_its_argument(&self, node: &NodeEnum) -> Option<String> {
        const NAMES: [&str; 5] = ["exec_sql", "execute_sql", "run_sql", "exec", "dblink_exec"];
        let mut found = None;
        sql::walk(node, &mut |node| {
            if let ast::NodeRef::FuncCall(call) = node
                && !call.args.is_empty()
                && let Some(name) = Name::from_parts(&ast::strings(&call.funcname))
                && NAMES.contains(&name.name.as_str())
                && self.catalog.resolve_routine(&name, self.session).1.is_empty()
            {
                found = Some(name.name);
            }
            true
        });
        found
    }

    /// Routines of the model that a statement calls, overloads told apart by the number of arguments.
    fn routines(&self, node: &NodeEnum) -> Vec<Routine> {
        let mut found = Vec::new();
        sql::walk(node, &mut |node| {
            if let ast::NodeRef::FuncCall(call) = node
                && let Some(name) = Name::from_parts(&ast::strings(&call.funcname))
            {
                let (_, overloads) = self.catalog.resolve_routine(&name, self.session);
                let given = call.args.len();
                let fits = |routine: &&Routine| {
                    let most = routine.arguments.len();
                    if routine.variadic {
                        return given + 1 + routine.defaults >= most;
                    }
                    (most - routine.defaults.min(most)..=most).contains(&given)
                };
                found.extend(overloads.iter().filter(fits).take(1).cloned());
            }
            true
        });
        found.retain(|routine| routine.volatility == 'v' && routine.kind != RoutineKind::Aggregate);
        found
    }

    fn routine(&mut self, routine: &Routine, conditional: bool) {
        let path = routine.settings.get("search_path").filter(|path| *path != "from current");
        let Some(path) = path else { return self.body_of(routine, conditional) };
        let mut session = Session::new(Transaction::default());
        let schemas = path.split(", ").filter(|schema| !schema.is_empty() && *schema != "$user");
        session.search_path = schemas.map(str::to_owned).collect();
        let mut inner = Reader {
            catalog: self.catalog,
            path: Some(session.search_path.clone()),
            session: &session,
            depth: self.depth,
            caught: self.caught,
            spared: self.spared,
            found: std::mem::take(&mut self.found),
        };
        inner.body_of(routine, conditional);
        self.found = inner.found;
    }

    fn body_of(&mut self, routine: &Routine, conditional: bool) {
        if let Some(statements) = &routine.bound {
            return self.sql(statements, conditional);
        }
        let Some(body) = &routine.body else { return };
        match routine.language.as_str() {
            "sql" => self.sql(body, conditional),
            "plpgsql" => self.plpgsql(&statement_of(routine, body), conditional),
            other => self.opaque(format!("`{}` is written in {other}", routine.name)),
        }
    }

    /// SQL that is put together at run time: read where it is one literal after all.
    fn dynamic(&mut self, expression: &str, conditional: bool) {
        let text =
            sql::parse(&format!("SELECT {expression}")).ok().and_then(|nodes| match &nodes.first()?.node {
                Some(NodeEnum::SelectStmt(select)) => match &select.target_list.first()?.node {
                    Some(NodeEnum::ResTarget(target)) => literal(target.val.as_deref()?),
                    _ => None,
                },
                _ => None,
            });
        match text {
            Some(text) => self.sql(&text, conditional),
            None => self.opaque("dynamic SQL: EXECUTE of a string that is put together at run time"),
        }
    }
}

/// Whether the expressions in a statement are evaluated when it runs: those of a view, a default or a policy are
/// kept for later.
fn evaluates(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::CopyStmt(_)
        | NodeEnum::CallStmt(_) => true,
        NodeEnum::CreateTableAsStmt(create) => create.into.as_ref().is_none_or(|into| !into.skip_data),
        NodeEnum::ExplainStmt(explain) => ast::option_on(&explain.options, "analyze") == Some(true),
        _ => false,
    }
}

/// The text of an expression made of literals only: `'…'`, `'…' || '…'`, `format('…', '…')`.
fn literal(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => literal(cast.arg.as_deref()?),
        NodeEnum::AExpr(expression)
            if expression.kind() == AExprKind::AexprOp && ast::strings(&expression.name) == ["||"] =>
        {
            Some(literal(expression.lexpr.as_deref()?)? + &literal(expression.rexpr.as_deref()?)?)
        }
        NodeEnum::FuncCall(call)
            if ast::strings(&call.funcname).last().is_some_and(|name| name == "format") =>
        {
            let arguments: Option<Vec<String>> = call.args.iter().map(literal).collect();
            let arguments = arguments?;
            let (template, values) = arguments.split_first()?;
            filled(template, values)
        }
        _ => None,
    }
}

/// What `format` makes of literals: `%s`, `%I` and `%L` in order, nothing more.
/// <https://www.postgresql.org/docs/current/functions-string.html#FUNCTIONS-STRING-FORMAT>
fn filled(template: &str, values: &[String]) -> Option<String> {
    let mut values = values.iter();
    let mut parts = template.split('%');
    let mut text = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        match part.chars().next() {
            Some('s') => text.push_str(values.next()?),
            Some('I') => text.push_str(&sql::ident(values.next()?)),
            Some('L') => text.push_str(&sql::literal(values.next()?)),
            // `%%`
            None => {
                text.push('%');
                text.push_str(parts.next()?);
                continue;
            }
            _ => return None,
        }
        text.push_str(&part[1..]);
    }
    Some(text)
}

/// The parser of PL/pgSQL wants a whole CREATE statement: it has to know the parameters.
fn statement_of(routine: &Routine, body: &str) -> String {
    let parameters: Vec<String> = routine
        .arguments
        .iter()
        .zip(&routine.argument_names)
        .map(|(ty, name)| if name.is_empty() { ty.clone() } else { format!("{} {ty}", sql::ident(name)) })
        .collect();
    let outputs = routine.outputs.iter().map(|output| format!("OUT {output}"));
    let parameters: Vec<String> = parameters.into_iter().chain(outputs).collect();
    let (kind, returns) = match (routine.kind, &routine.returns) {
        (RoutineKind::Procedure, _) => ("PROCEDURE", String::new()),
        (_, Some(returns)) => ("FUNCTION", format!(" RETURNS {returns}")),
        (_, None) if !routine.outputs.is_empty() => ("FUNCTION", String::new()),
        (_, None) => ("FUNCTION", " RETURNS record".into()),
    };
    format!("CREATE {kind} f({}){returns} LANGUAGE plpgsql AS {}", parameters.join(", "), sql::literal(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::{model, show};

    fn check(given: &str, statement: &str, expected: &str) {
        let (catalog, session) = model(given);
        let node = sql::parse(statement).unwrap().remove(0).node.unwrap();
        let found: Vec<String> = bodies(&node, statement, &catalog, &session)
            .into_iter()
            .map(|body| match body {
                Body::Statement { text, nesting, .. } => match nesting {
                    Nesting::Body { conditional: true, .. } => format!("? {text}"),
                    _ => text,
                },
                Body::Opaque(_) => "opaque".into(),
            })
            .collect();
        assert_eq!(found.join(" | "), expected, "{statement}");
    }

    #[test]
    fn the_end_of_a_transaction_is_a_statement_too() {
        check(
            "create procedure p() language plpgsql as $$ begin commit; rollback; end $$;",
            "call p()",
            "COMMIT | ROLLBACK",
        );
    }

    #[test]
    fn a_routine_reads_names_along_its_own_path() {
        let (catalog, session) = model(
            "create function f() returns void language sql set search_path = app, '' as 'create table t (a int)';",
        );
        let node = sql::parse("select f()").unwrap().remove(0).node.unwrap();
        let found = bodies(&node, "", &catalog, &session);
        let Some(Body::Statement { path, .. }) = found.first() else { panic!("{found:?}") };
        assert_eq!(path.as_deref(), Some(["app".to_owned()].as_slice()));
    }

    #[test]
    fn reads_do_blocks() {
        check(
            "",
            "do $$ begin create table t (a int); perform pg_sleep(1); end $$",
            "create table t (a int) | SELECT pg_sleep(1)",
        );
        check(
            "",
            "do $$ begin if not exists (select 1 from pg_type where typname = 'x') then create type x as enum ('a'); elsif exists (select from t) then drop table t; else drop table u; end if; end $$",
            "SELECT exists (select from t) | ? create type x as enum ('a') | ? drop table t | ? drop table u",
        );
        check(
            "",
            "do $$ declare r record; n int := 0; begin for r in select * from t loop update t set a = 1 where id = r.id; end loop; n := (select count(*) from u); end $$",
            "select * from t | ? update t set a = 1 where id = r.id | SELECT (select count(*) from u)",
        );
        check(
            "",
            "do $$ begin begin drop table t; exception when undefined_table then drop table u; end; end $$",
            "drop table t | ? drop table u",
        );
        check(
            "",
            "do $$ begin execute 'drop table t'; execute format('drop table u'); execute 'drop ' || 'table v'; execute format('drop table %I', 'x'); end $$",
            "drop table t | drop table u | drop table v | drop table x",
        );
        check(
            "",
            "do $$ begin while true loop delete from t; exit; end loop; case 1 when 1 then delete from u; else delete from v; end case; end $$",
            "? delete from t | ? delete from u | ? delete from v",
        );
        check("", "do language plpython3u $$ x $$", "opaque");
        check("", "do $$ begin nonsense here; end $$", "opaque");
    }

    #[test]
    fn follows_known_routines() {
        check(
            "create function f(a int) returns void language sql as 'delete from t; delete from u'",
            "select f(1)",
            "delete from t; delete from u | delete from t; delete from u",
        );
        check(
            "create procedure p(x int) language plpgsql as $$ begin x := 1; delete from t; end $$",
            "call p(1)",
            "delete from t",
        );
        check(
            "create function f() returns int language plpgsql as $$ begin drop table t; return 1; end $$",
            "do $$ begin perform f(); end $$",
            "drop table t | SELECT f()",
        );
        check(
            "create function f() returns int language plpgsql as $$ begin perform f(); return 1; end $$",
            "select unknown()",
            "",
        );
    }

    #[test]
    fn follows_calls_wherever_they_stand() {
        let zap =
            "create function zap() returns int language plpgsql as $$ begin delete from t; return 1; end $$;";
        for statement in [
            "select * from zap()",
            "with q as (select zap()) select * from q",
            "select 1 union all select zap()",
            "insert into u select zap()",
            "insert into u values (zap())",
            "create table v as select zap()",
            "explain (analyze) select zap()",
            "copy (select zap()) to stdout",
            "select * from generate_series(1, zap())",
        ] {
            check(zap, statement, "delete from t");
        }
        for statement in
            ["select zap() from u", "update u set a = zap() where id = 1", "delete from u where id = zap()"]
        {
            check(zap, statement, "? delete from t");
        }
        for statement in [
            "create view v as select zap()",
            "create table v (a int default zap())",
            "create table v as select zap() with no data",
            "explain select zap()",
        ] {
            check(zap, statement, "");
        }
        for statement in [
            "declare n int := zap(); begin null; end",
            "declare n int; begin select z into n from zap() z; end",
            "begin raise notice '%', zap(); end",
            "begin assert zap() = 1; end",
            "begin for i in 1..zap() loop null; end loop; end",
            "begin loop exit when zap() = 1; end loop; end",
            "begin execute 'select $1' using zap(); end",
        ] {
            let (catalog, session) = model(zap);
            let statement = format!("do $$ {statement} $$");
            let node = sql::parse(&statement).unwrap().remove(0).node.unwrap();
            let found = bodies(&node, &statement, &catalog, &session);
            let deletes =
                |body: &Body| matches!(body, Body::Statement { text, .. } if text == "delete from t");
            assert!(found.iter().any(deletes), "{statement}");
        }
    }

    #[test]
    fn follows_bound_bodies_and_all_kinds_of_parameters() {
        check(
            "create table t (a int); create procedure p() language sql begin atomic delete from t; delete from t; end;",
            "call p()",
            "DELETE FROM t;\nDELETE FROM t | DELETE FROM t;\nDELETE FROM t",
        );
        check(
            "create function f(variadic a int[]) returns int language plpgsql as $$ begin delete from t; return 1; end $$;",
            "select f(1, 2, 3)",
            "delete from t",
        );
        check(
            "create function f(out n int) language plpgsql as $$ begin delete from t; n := 1; end $$;",
            "select f()",
            "delete from t",
        );
    }

    #[test]
    fn the_model_sees_what_a_block_does() {
        let (catalog, _) = model(
            "do $$ begin create table t (a int); if not exists (select from pg_class) then create table t (b int); end if; end $$",
        );
        assert_eq!(show(&catalog, "t"), "a integer");
    }
}
