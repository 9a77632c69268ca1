//! Functions, procedures, aggregates, and triggers.

use super::{Change, def_elem, option_text, text_of};
use crate::schema::{QName, Routine, RoutineKind, Trigger};
use crate::sql::{
    self,
    ast::{
        self, AlterFunctionStmt, CreateFunctionStmt, CreateTrigStmt, DefElem, DefineStmt, FunctionParameter,
        FunctionParameterMode as Mode, Name, Node, NodeEnum, ObjectWithArgs, TypeName, VariableSetKind,
    },
};

impl Change<'_> {
    pub(super) fn create_routine(&mut self, create: &CreateFunctionStmt) {
        let Some(name) = Name::from_parts(&ast::strings(&create.funcname)) else { return };
        let name = self.catalog.place(&name, self.session);
        let inputs: Vec<&FunctionParameter> = parameters(&create.parameters)
            .filter(|parameter| !matches!(parameter.mode(), Mode::FuncParamOut | Mode::FuncParamTable))
            .collect();
        let arguments: Vec<String> =
            inputs.iter().map(|parameter| self.argument_type(parameter.arg_type.as_ref())).collect();
        let outputs = parameters(&create.parameters)
            .filter(|parameter| parameter.mode() == Mode::FuncParamOut && !parameter.name.is_empty())
            .map(|parameter| {
                format!("{} {}", sql::ident(&parameter.name), self.argument_type(parameter.arg_type.as_ref()))
            })
            .collect();
        let returns = self.returns(create);
        let mut routine = Routine {
            name: name.clone(),
            kind: if create.is_procedure { RoutineKind::Procedure } else { RoutineKind::Function },
            argument_names: inputs.iter().map(|parameter| parameter.name.clone()).collect(),
            defaults: inputs.iter().filter(|parameter| parameter.defexpr.is_some()).count(),
            variadic: inputs.iter().any(|parameter| parameter.mode() == Mode::FuncParamVariadic),
            outputs,
            arguments,
            returns,
            language: "sql".into(),
            security_definer: false,
            volatility: 'v',
            settings: Default::default(),
            options: Default::default(),
            body: None,
            bound: create.sql_body.as_deref().map(|body| bound(body).join(";\n")),
            grants: self.catalog.birth_grants_of_routine(&name),
            granted: None,
            owner: self.session.role.as_ref().map(|role| role.value.clone()),
            born: Some(self.at),
            changed: Some(self.at),
        };
        create.options.iter().filter_map(def_elem).for_each(|option| set_option(&mut routine, option));
        self.put_routine(routine);
    }

    fn put_routine(&mut self, mut routine: Routine) {
        self.catalog.dropped.remove(&routine.name);
        let overloads = self.catalog.routines.entry(routine.name.clone()).or_default();
        match overloads.iter_mut().find(|known| known.arguments == routine.arguments) {
            // Replacing keeps who owns it and who may call it; everything else is as written now.
            Some(known) => {
                routine.born = known.born;
                routine.grants = std::mem::take(&mut known.grants);
                routine.granted = known.granted;
                routine.owner = known.owner.take();
                *known = routine;
            }
            None => overloads.push(routine),
        }
    }

    fn argument_type(&self, written: Option<&TypeName>) -> String {
        written.map_or_else(String::new, |written| {
            self.catalog.column_type(written, self.session).bare().to_string()
        })
    }

    fn returns(&self, create: &CreateFunctionStmt) -> Option<String> {
        let table: Vec<String> = parameters(&create.parameters)
            .filter(|parameter| parameter.mode() == Mode::FuncParamTable)
            .map(|parameter| {
                format!("{} {}", parameter.name, self.argument_type(parameter.arg_type.as_ref()))
            })
            .collect();
        if !table.is_empty() {
            return Some(format!("table({})", table.join(", ")));
        }
        let written = create.return_type.as_ref()?;
        let ty = self.argument_type(Some(written));
        Some(if written.setof { format!("setof {ty}") } else { ty })
    }

    pub(super) fn create_aggregate(&mut self, define: &DefineStmt) {
        let Some(name) = Name::from_parts(&ast::strings(&define.defnames)) else { return };
        let name = self.catalog.place(&name, self.session);
        let arguments = define
            .args
            .iter()
            .filter_map(|node| match node.node.as_ref()? {
                NodeEnum::List(list) => Some(parameters(&list.items)),
                _ => None,
            })
            .flatten()
            .map(|parameter| self.argument_type(parameter.arg_type.as_ref()))
            .collect::<Vec<_>>();
        self.put_routine(Routine {
            kind: RoutineKind::Aggregate,
            argument_names: vec![String::new(); arguments.len()],
            defaults: 0,
            variadic: false,
            outputs: Vec::new(),
            arguments,
            returns: None,
            language: "internal".into(),
            security_definer: false,
            volatility: 'i',
            settings: Default::default(),
            options: Default::default(),
            body: None,
            bound: None,
            grants: self.catalog.birth_grants_of_routine(&name),
            granted: None,
            owner: None,
            born: Some(self.at),
            changed: Some(self.at),
            name,
        });
    }

    /// The overloads that `name(arguments)` means: all of them where no arguments are written.
    pub(super) fn overloads(&mut self, object: &ObjectWithArgs) -> Vec<&mut Routine> {
        let Some((name, arguments)) = self.signature(object) else { return Vec::new() };
        self.catalog
            .routines
            .get_mut(&name)
            .into_iter()
            .flatten()
            .filter(|routine| arguments.as_ref().is_none_or(|arguments| routine.arguments == *arguments))
            .collect()
    }

    pub(super) fn signature(&self, object: &ObjectWithArgs) -> Option<(QName, Option<Vec<String>>)> {
        let name = Name::from_parts(&ast::strings(&object.objname))?;
        let arguments: Option<Vec<String>> = (!object.args_unspecified).then(|| {
            object
                .objargs
                .iter()
                .filter_map(|node| match node.node.as_ref()? {
                    NodeEnum::TypeName(written) => Some(self.argument_type(Some(written))),
                    _ => None,
                })
                .collect()
        });
        // Of several on the path, the first that has the overload.
        let exact = self.catalog.candidates(&name, self.session).into_iter().find(|candidate| {
            self.catalog.routines.get(candidate).is_some_and(|overloads| {
                overloads
                    .iter()
                    .any(|known| arguments.as_ref().is_none_or(|arguments| known.arguments == *arguments))
            })
        });
        let found = exact.unwrap_or_else(|| self.catalog.resolve_routine(&name, self.session).0);
        Some((found, arguments))
    }

    pub(super) fn alter_routine(&mut self, alter: &AlterFunctionStmt) {
        let Some(object) = &alter.func else { return };
        let at = self.at;
        for routine in self.overloads(object) {
            alter.actions.iter().filter_map(def_elem).for_each(|option| set_option(routine, option));
            routine.changed = Some(at);
        }
    }

    pub(super) fn create_trigger(&mut self, create: &CreateTrigStmt) {
        let Some(table) = create.relation.as_ref().map(|range| self.resolve(range)) else { return };
        let function = Name::from_parts(&ast::strings(&create.funcname))
            .map(|name| self.catalog.resolve_routine(&name, self.session).0.to_string())
            .unwrap_or_default();
        let at = self.at;
        let guarded = self.guarded;
        let Some(relation) = self.relation(&table) else { return };
        let known = relation.triggers.iter_mut().find(|known| known.name == create.trigname);
        match known {
            Some(_) if guarded => {}
            Some(known) => known.function = function,
            None => relation.triggers.push(Trigger {
                name: create.trigname.clone(),
                function,
                enabled: true,
                born: Some(at),
            }),
        }
    }
}

fn parameters(nodes: &[Node]) -> impl Iterator<Item = &FunctionParameter> {
    nodes.iter().filter_map(|node| match node.node.as_ref()? {
        NodeEnum::FunctionParameter(parameter) => Some(&**parameter),
        _ => None,
    })
}

/// The statements of `BEGIN ATOMIC … END`, or what `RETURN` gives back.
fn bound(body: &Node) -> Vec<String> {
    match &body.node {
        Some(NodeEnum::List(list)) => list.items.iter().flat_map(bound).collect(),
        Some(NodeEnum::ReturnStmt(returned)) => {
            let value = returned.returnval.as_deref().and_then(sql::expression_text);
            value.map(|value| format!("SELECT {value}")).into_iter().collect()
        }
        Some(statement) => sql::deparse(statement).into_iter().collect(),
        None => Vec::new(),
    }
}

fn set_option(routine: &mut Routine, option: &DefElem) {
    match option.defname.as_str() {
        "language" => routine.language = option_text(option).unwrap_or_default().to_lowercase(),
        "security" => routine.security_definer = option_text(option).is_some_and(|value| value == "true"),
        "volatility" => {
            let first = option_text(option).and_then(|value| value.chars().next());
            routine.volatility = first.unwrap_or('v').to_ascii_lowercase();
        }
        // The default of each says no more than nothing.
        name @ ("strict" | "parallel" | "cost" | "rows" | "leakproof") => {
            let value = option_text(option).unwrap_or_default().to_lowercase();
            match (name, value.as_str()) {
                (_, "false") | ("parallel", "unsafe") => routine.options.remove(name),
                _ => routine.options.insert(name.to_owned(), value),
            };
        }
        "as" => {
            if let Some(NodeEnum::List(list)) = option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                routine.body = ast::strings(&list.items).into_iter().next();
            }
        }
        "set" => {
            let Some(NodeEnum::VariableSetStmt(set)) = option.arg.as_ref().and_then(|arg| arg.node.as_ref())
            else {
                return;
            };
            let name = set.name.to_lowercase();
            match set.kind() {
                VariableSetKind::VarSetValue => {
                    let values: Vec<String> = set.args.iter().filter_map(text_of).collect();
                    routine.settings.insert(name, values.join(", "));
                }
                VariableSetKind::VarSetCurrent => {
                    routine.settings.insert(name, "from current".into());
                }
                VariableSetKind::VarResetAll => routine.settings.clear(),
                _ => {
                    routine.settings.remove(&name);
                }
            }
        }
        _ => {}
    }
}
