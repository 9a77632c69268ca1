//! Labels in functions that are created: a body in SQL is read then, one in plpgsql when it runs.

use super::{New, constants, enum_of, in_node, new_among, used};
use crate::{
    rules::Context,
    schema::QName,
    sql::{
        self,
        ast::{self, NodeEnum, a_const},
    },
};

/// The use in a default of a parameter, or in the body.
pub(super) fn body(create: &ast::CreateFunctionStmt, context: &Context<'_>) -> Option<New> {
    let option = |name: &str| {
        create.options.iter().find_map(|option| match &option.node {
            Some(NodeEnum::DefElem(option)) if option.defname == name => option.arg.as_ref()?.node.as_ref(),
            _ => None,
        })
    };
    let parameters: Vec<&ast::FunctionParameter> = create
        .parameters
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::FunctionParameter(parameter)) => Some(&**parameter),
            _ => None,
        })
        .collect();
    let of = |parameter: &ast::FunctionParameter| {
        enum_of(&context.catalog.column_type(parameter.arg_type.as_ref()?, context.session), context)
    };
    let default = parameters
        .iter()
        .find_map(|parameter| new_among(&of(parameter)?, &constants(parameter.defexpr.as_deref()?), context));
    if default.is_some() {
        return default;
    }
    let columns: Vec<(String, QName)> =
        parameters.iter().filter_map(|parameter| Some((parameter.name.clone(), of(parameter)?))).collect();
    let is_sql = matches!(option("language"), Some(NodeEnum::String(language)) if language.sval.eq_ignore_ascii_case("sql"));
    if let Some(body) = &create.sql_body {
        return in_node(body.node.as_ref()?, &columns, context);
    }
    let Some(NodeEnum::List(body)) = option("as").filter(|_| is_sql && reads_bodies(context)) else {
        return None;
    };
    let nodes = sql::parse(ast::string(body.items.first()?)?).ok()?;
    nodes
        .iter()
        .filter_map(|node| node.node.as_ref())
        .find_map(|node| used(node, context).or_else(|| in_node(node, &columns, context)))
}

/// Whether the body of an SQL function is looked at when it is created: `check_function_bodies`.
fn reads_bodies(context: &Context<'_>) -> bool {
    let file = context.at().file;
    let set =
        context.before.iter().rev().take_while(|unit| unit.at.file == file).find_map(|unit| {
            match &unit.node {
                NodeEnum::VariableSetStmt(set) if set.name == "check_function_bodies" => Some(set),
                _ => None,
            }
        });
    !set.is_some_and(|set| {
        let value = set.args.first().and_then(|value| match value.node.as_ref()? {
            NodeEnum::AConst(constant) => match constant.val.as_ref()? {
                a_const::Val::Sval(text) => Some(text.sval.to_lowercase()),
                a_const::Val::Ival(number) => Some(number.ival.to_string()),
                a_const::Val::Boolval(value) => Some(value.boolval.to_string()),
                _ => None,
            },
            _ => None,
        });
        value.is_some_and(|value| matches!(value.as_str(), "off" | "false" | "no" | "0"))
    })
}
