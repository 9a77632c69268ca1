//! A policy that lists all files of a bucket.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, tautology},
    sql::{
        self,
        ast::{AExprKind, BoolExprType, Node, NodeEnum, a_const, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "public-bucket-listing",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "lets anybody list the files of a bucket",
    why: "Files of a public bucket are served without any policy; one that asks for no more than the bucket only \
          adds that everybody can list all names, and find what nobody linked to.",
    instead: "Drop the policy: reading a public bucket needs none. For a private one, add whose files: \
              `(storage.foldername(name))[1] = (select auth.uid())::text`.",
    sources: &["https://supabase.com/docs/guides/storage/security/access-control"],
    peers: &["sp:0025"],
    given: "insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true), ('contracts', 'contracts', false);",
    bad: &[
        "create policy av on storage.objects for select to anon using (bucket_id = 'avatars');",
        "create policy av on storage.objects for select to authenticated using (true);",
        "create policy av on storage.objects for select to public using (bucket_id = 'unknown');",
    ],
    good: &[
        "create policy own on storage.objects for select to authenticated using (bucket_id = 'avatars' and owner = (select auth.uid()));",
        "create policy ct on storage.objects for select to authenticated using (bucket_id = 'contracts');",
        "create policy up on storage.objects for insert to authenticated with check (bucket_id = 'avatars');",
        "create policy job on storage.objects for select to service_role using (true);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.on_supabase() {
        return;
    }
    for changed in access::policies(context) {
        let (table, policy) = (changed.table, changed.policy);
        let reads = matches!(policy.command.as_str(), "select" | "all");
        let objects = (table.name.schema.as_str(), table.name.name.as_str()) == ("storage", "objects");
        if !objects || !reads || !policy.permissive || !access::for_api(policy) {
            continue;
        }
        let Some(using) = policy.using.as_deref() else { continue };
        let what = if tautology::always_true(using) {
            "every bucket".to_owned()
        } else {
            let Some(buckets) = buckets_alone(using) else { continue };
            let open: Vec<String> = buckets
                .into_iter()
                // Of a bucket that no migration makes, nobody knows: it may be public.
                .filter(|bucket| context.after.buckets.get(bucket) != Some(&false))
                .collect();
            if open.is_empty() {
                continue;
            }
            format!("bucket {}", access::in_words(&open))
        };
        let message = format!(
            "{} lets {} list all files of {what}",
            changed.called(),
            access::in_words(&access::api_roles(policy))
        );
        access::say(context, sink, changed.unit.at, message)
            .object(changed.object())
            .suggest(format!("DROP POLICY {} ON storage.objects;", sql::ident(&policy.name)));
    }
}

/// The buckets that a condition asks for, if it asks for nothing else.
fn buckets_alone(condition: &Node) -> Option<Vec<String>> {
    match condition.node.as_ref()? {
        NodeEnum::BoolExpr(expression) if expression.boolop() == BoolExprType::OrExpr => {
            let parts: Option<Vec<Vec<String>>> = expression.args.iter().map(buckets_alone).collect();
            parts.map(|parts| parts.concat())
        }
        NodeEnum::BoolExpr(expression) if expression.boolop() == BoolExprType::AndExpr => {
            let real: Vec<&Node> =
                expression.args.iter().filter(|part| !tautology::always_true(part)).collect();
            match real.as_slice() {
                [only] => buckets_alone(only),
                _ => None,
            }
        }
        NodeEnum::AExpr(expression) => {
            let equals = strings(&expression.name).last().is_some_and(|operator| operator == "=");
            let kind =
                matches!(expression.kind(), AExprKind::AexprOp | AExprKind::AexprIn | AExprKind::AexprOpAny);
            if !equals || !kind {
                return None;
            }
            let (left, right) = (expression.lexpr.as_deref()?, expression.rexpr.as_deref()?);
            if is_bucket(left) {
                constants(right)
            } else if is_bucket(right) {
                constants(left)
            } else {
                None
            }
        }
        _ => None,
    }
}

fn is_bucket(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::ColumnRef(column)) => {
            strings(&column.fields).last().is_some_and(|name| name == "bucket_id")
        }
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_bucket),
        _ => false,
    }
}

fn constants(node: &Node) -> Option<Vec<String>> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(vec![text.sval.clone()]),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => constants(cast.arg.as_deref()?),
        NodeEnum::List(list) => all(&list.items),
        NodeEnum::AArrayExpr(array) => all(&array.elements),
        _ => None,
    }
}

fn all(nodes: &[Node]) -> Option<Vec<String>> {
    let parts: Option<Vec<Vec<String>>> = nodes.iter().map(constants).collect();
    parts.map(|parts| parts.concat())
}
