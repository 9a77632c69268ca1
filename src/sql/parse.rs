//! Text to parse tree, by Postgres' own grammar.

use std::ops::Range;

use super::{
    abridge::abridge,
    ast::{Node, NodeEnum},
};

/// Why a statement does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    /// Bytes of the offending token in the text that was given.
    pub(crate) span: Range<usize>,
}

/// Parses one statement (or several: a body of plain SQL).
///
/// Must run under [`with_large_stack`]: a tree thousands of levels deep is decoded and dropped
/// recursively.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    match pg_query::parse(text, 0) {
        Ok(result) => {
            Ok(result.protobuf.stmts.into_iter().filter_map(|raw| raw.stmt).map(|node| *node).collect())
        }
        Err(error) => {
            let message = message_of(&error);
            Err(SyntaxError { span: error_span(text, &message), message })
        }
    }
}

/// The trees of one statement's text, out of a longer one.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) nodes: Vec<Node>,
    /// Where the text begins, in bytes, for the `location`s of the trees.
    pub(crate) origin: usize,
    /// Whether rows of constants were left out: [`parse`] has them.
    pub(crate) abridged: bool,
}

/// Parses statements that follow each other in one section: each as [`parse`] does, but at once, since a call of
/// the parser costs more than a short statement. Without rows of constants, where there are many.
pub(crate) fn parse_each(texts: &[&str]) -> Vec<Result<Parsed, SyntaxError>> {
    let alone = |text: &&str| parse(text).map(|nodes| Parsed { nodes, origin: 0, abridged: false });
    parse_together(texts)
        .map_or_else(|| texts.iter().map(alone).collect(), |parsed| parsed.into_iter().map(Ok).collect())
}

/// The same tree in less room. Decoding makes each list with room for four nodes of 600 bytes, and most have
/// one; a copy has room for what is there. What nobody keeps for long is not worth it.
fn compact(node: Node) -> Node {
    match &node.node {
        Some(NodeEnum::InsertStmt(_) | NodeEnum::CreateStmt(_)) => node,
        _ => node.clone(),
    }
}

/// `None`: one of them does not parse, or changes how the next one reads.
fn parse_together(texts: &[&str]) -> Option<Vec<Parsed>> {
    // Ends a comment at the end of a text, too.
    const BETWEEN: &str = "\n;";
    let mut whole = String::with_capacity(texts.iter().map(|text| text.len() + BETWEEN.len()).sum());
    let mut abridged = Vec::with_capacity(texts.len());
    for text in texts {
        abridged.push(abridge(text, &mut whole));
        whole.push_str(BETWEEN);
    }
    let statements = pg_query::parse(&whole, 0).ok()?.protobuf.stmts;
    let mut parsed = Vec::with_capacity(texts.len());
    let mut statements = statements.into_iter().peekable();
    let mut origin = 0;
    for (text, abridged) in texts.iter().zip(abridged) {
        let end = origin + text.len() + BETWEEN.len();
        let mut nodes = Vec::new();
        while let Some(raw) =
            statements.next_if(|raw| usize::try_from(raw.stmt_location).is_ok_and(|at| at < end))
        {
            // A length of 0 says: to the end of everything.
            let stop = match raw.stmt_len {
                0 => whole.len(),
                length => usize::try_from(raw.stmt_location + length).ok()?,
            };
            if stop >= end {
                return None;
            }
            nodes.extend(raw.stmt.map(|node| compact(*node)));
        }
        parsed.push(Parsed { nodes, origin, abridged });
        origin = end;
    }
    Some(parsed)
}

/// Parses the body of a PL/pgSQL routine given as the whole `CREATE FUNCTION`/`DO` statement.
pub(crate) fn parse_plpgsql(statement: &str) -> Result<serde_json::Value, String> {
    pg_query::parse_plpgsql(statement).map_err(|error| message_of(&error))
}

/// Writes a tree back as SQL.
pub(crate) fn deparse(node: &NodeEnum) -> Option<String> {
    node.deparse(Default::default()).ok()
}

/// Writes an expression back as SQL: the deparser takes whole statements only.
pub(crate) fn expression_text(expression: &Node) -> Option<String> {
    use super::ast::{LimitOption, ResTarget, SelectStmt, SetOperation};
    let target = ResTarget { val: Some(Box::new(expression.clone())), ..ResTarget::default() };
    let select = SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        // An enum that is left undefined aborts the deparser.
        limit_option: LimitOption::Default.into(),
        op: SetOperation::SetopNone.into(),
        ..SelectStmt::default()
    };
    let text = deparse(&NodeEnum::SelectStmt(Box::new(select)))?;
    text.strip_prefix("SELECT ").map(str::to_owned)
}

/// Writes a type name back as SQL.
pub(crate) fn type_text(name: &super::ast::TypeName) -> Option<String> {
    use super::ast::{AConst, TypeCast};
    let null = Node { node: Some(NodeEnum::AConst(AConst { isnull: true, ..AConst::default() })) };
    let cast = TypeCast { arg: Some(Box::new(null)), type_name: Some(name.clone()), ..TypeCast::default() };
    let text = expression_text(&Node { node: Some(NodeEnum::TypeCast(Box::new(cast))) })?;
    text.strip_prefix("NULL::").map(str::to_owned)
}

/// Whether a word (in lower case) stands in a text, in whatever case.
pub(crate) fn contains_ignoring_case(text: &str, word: &str) -> bool {
    contains_any_ignoring_case(text, &[word])
}

/// Whether any of the words (in lower case) stands in a text, in whatever case.
pub(crate) fn contains_any_ignoring_case(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// Whether two texts are the same to Postgres' lexer, comments and white space aside.
pub(crate) fn tokens_equal(a: &str, b: &str) -> bool {
    fn tokens(text: &str) -> Option<Vec<&str>> {
        const C_COMMENT: i32 = super::ast::Token::CComment as i32;
        const SQL_COMMENT: i32 = super::ast::Token::SqlComment as i32;
        let scanned = pg_query::scan(text).ok()?;
        scanned
            .tokens
            .iter()
            .filter(|token| token.token != C_COMMENT && token.token != SQL_COMMENT)
            .map(|token| text.get(token.start as usize..token.end as usize))
            .collect()
    }
    matches!((tokens(a), tokens(b)), (Some(a), Some(b)) if a == b)
}

/// The identifiers of a text that have more than `bytes` bytes, as they are written: quotes removed and
/// nothing cut off.
pub(crate) fn long_identifiers(text: &str, bytes: usize) -> Vec<(Range<usize>, String)> {
    const IDENT: i32 = super::ast::Token::Ident as i32;
    // Asking the lexer takes as long as parsing.
    if !may_hold_longer(text, bytes) {
        return Vec::new();
    }
    let Ok(scanned) = pg_query::scan(text) else { return Vec::new() };
    let spans = scanned.tokens.iter().filter(|token| token.token == IDENT);
    let spans = spans.map(|token| token.start as usize..token.end as usize);
    let names = spans.filter_map(|span| Some((span.clone(), unquoted(text.get(span)?))));
    names.filter(|(_, name)| name.len() > bytes).collect()
}

/// The numbers of a text, as they are written.
pub(super) fn numbers(text: &str) -> Vec<&str> {
    const NUMBERS: [i32; 2] = [super::ast::Token::Iconst as i32, super::ast::Token::Fconst as i32];
    let Ok(scanned) = pg_query::scan(text) else { return Vec::new() };
    let numbers = scanned.tokens.iter().filter(|token| NUMBERS.contains(&token.token));
    numbers.filter_map(|token| text.get(token.start as usize..token.end as usize)).collect()
}

/// Whether a run of a name's characters, or what stands between two quotes, is longer than that.
fn may_hold_longer(text: &str, bytes: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii();
    let longer = |part: &[u8]| part.len() > bytes;
    let quoted = text.find('"').zip(text.rfind('"')).map_or("", |(first, last)| &text[first..last]);
    has_run(text.as_bytes(), bytes + 1, plain)
        || quoted.contains("\"\"")
        || quoted.as_bytes().split(|byte| *byte == b'"').any(longer)
}

/// Whether so many bytes of a kind stand together. Such a run covers one of the bytes at every so many
/// places, so that most are never looked at.
fn has_run(text: &[u8], length: usize, kind: impl Fn(u8) -> bool) -> bool {
    (length - 1..text.len()).step_by(length).any(|at| {
        kind(text[at]) && {
            let before = text[..at].iter().rev().take_while(|byte| kind(**byte)).count();
            let after = text[at..].iter().take_while(|byte| kind(**byte)).count();
            before + after >= length
        }
    })
}

fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

fn message_of(error: &pg_query::Error) -> String {
    let text = error.to_string();
    for prefix in ["Invalid statement: ", "Error scanning: "] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return rest.to_owned();
        }
    }
    text
}

/// Where the grammar stopped.
///
/// The parser's interface drops the error's position. Postgres' grammar is LALR(1): it stops at the
/// first token that cannot continue what came before, so the prefix that ends before that token
/// fails only "at end of input", and the prefix that ends after it fails at the token itself.
fn error_span(text: &str, message: &str) -> Range<usize> {
    let whole = 0..text.len();
    if message.starts_with("stack depth") {
        return whole;
    }
    if message.contains("at end of input") {
        let end = text.trim_end().len();
        return end..end;
    }
    let Ok(scanned) = pg_query::scan(text) else { return whole };
    let tokens: Vec<Range<usize>> =
        scanned.tokens.iter().map(|token| token.start as usize..token.end as usize).collect();
    let viable = |n: usize| match text.get(..tokens[n].end).map(|prefix| pg_query::parse(prefix, 0)) {
        Some(Ok(_)) => true,
        Some(Err(error)) => message_of(&error).contains("at end of input"),
        None => false,
    };
    let (mut low, mut high) = (0, tokens.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if viable(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    tokens.get(low).cloned().unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::with_large_stack;

    fn error_at(text: &str) -> (String, String) {
        let error = parse(text).unwrap_err();
        (error.message, text[error.span].to_owned())
    }

    #[test]
    fn points_at_the_offending_token() {
        assert_eq!(
            error_at("alter table t ad column a int"),
            ("syntax error at or near \"ad\"".into(), "ad".into())
        );
        assert_eq!(error_at("create table t (a int").1, "");
        assert_eq!(error_at("select a a a from b").1, "a");
    }

    #[test]
    fn deep_trees_parse() {
        let deep = format!("select {}1{}", "(1+".repeat(400), ")".repeat(400));
        let concat = format!("select {}", vec!["'a'"; 500].join(" || "));
        with_large_stack(|| {
            assert_eq!(parse(&deep).unwrap().len(), 1);
            assert_eq!(parse(&concat).unwrap().len(), 1);
        });
    }

    #[test]
    fn writes_expressions_and_types() {
        let nodes = parse("select lower(a) || 'x', b::numeric(10, 2)").unwrap();
        let Some(NodeEnum::SelectStmt(select)) = &nodes[0].node else { panic!() };
        let value = |at: usize| match &select.target_list[at].node {
            Some(NodeEnum::ResTarget(target)) => target.val.clone().unwrap(),
            _ => panic!(),
        };
        assert_eq!(expression_text(&value(0)).unwrap(), "lower(a) || 'x'");
        let Some(NodeEnum::TypeCast(cast)) = value(1).node else { panic!() };
        assert_eq!(type_text(&cast.type_name.unwrap()).unwrap(), "numeric(10, 2)");
    }

    #[test]
    fn each_statement_reads_as_it_does_alone() {
        let scripts: &[&[&str]] = &[
            &[
                "select 1",
                "",
                "-- nothing",
                "select 2; select 3",
                "create table ü (a int) -- end",
                "select 4;",
            ],
            &["select 1", "selec 2", "select 3"],
            &["select 1", "select 'open", "select 'shut'"],
            // Only the last can be open: what follows is its.
            &["select 1", "select 2 /* open"],
            &["create function f() returns int begin atomic select 1", "select 2", "end"],
            &["begin", "create function f() returns int begin atomic select 1; end", "commit"],
            &["select 1", "select $$ open", "select $$ shut"],
            &["select 1\0", "select 2"],
            &[],
        ];
        for script in scripts {
            let alone: Vec<Result<Vec<Node>, String>> =
                script.iter().map(|text| parse(text).map_err(|error| error.message)).collect();
            let together = parse_each(script);
            assert_eq!(together.len(), alone.len());
            for (one, alone) in together.into_iter().zip(alone) {
                let one = one.map_err(|error| error.message);
                assert_eq!(one.as_ref().map(|one| one.nodes.len()).ok(), alone.as_ref().map(Vec::len).ok());
                match (one, alone) {
                    (Ok(one), Ok(alone)) => {
                        for (one, alone) in one.nodes.iter().zip(&alone) {
                            let text = |node: &Node| node.node.as_ref().and_then(deparse);
                            assert_eq!(text(one), text(alone), "{script:?}");
                        }
                    }
                    (one, alone) => assert_eq!(one.err(), alone.err(), "{script:?}"),
                }
            }
        }
    }

    #[test]
    fn locations_count_from_the_origin() {
        let texts = ["select 'ü'", "-- one\nselect f(x)"];
        for (parsed, name) in parse_each(&texts).into_iter().map(Result::unwrap).zip(["'ü'", "f(x)"]) {
            let Some(NodeEnum::SelectStmt(select)) = &parsed.nodes[0].node else { panic!() };
            let Some(NodeEnum::ResTarget(target)) = &select.target_list[0].node else { panic!() };
            let at = usize::try_from(target.location).unwrap() - parsed.origin;
            assert!(texts.iter().any(|text| text.get(at..) == Some(name)), "{at}");
        }
    }

    #[test]
    fn finds_runs() {
        let long = |text: &str, length| has_run(text.as_bytes(), length, |byte| byte == b'a');
        for length in 1..6 {
            for before in 0..9 {
                for run in 0..9 {
                    let text =
                        format!("{}{}{}", "-a".repeat(before), "-".to_owned() + &"a".repeat(run), "-a-");
                    assert_eq!(long(&text, length), run.max(1) >= length, "{text} {length}");
                }
            }
        }
    }

    #[test]
    fn finds_long_names() {
        let long = |text: &str| {
            let names = long_identifiers(text, 5).into_iter().map(|(_, name)| name);
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(long("select abcdef, abcde, 'a long text'"), "abcdef");
        assert_eq!(long("select \"a b c d\", \"a\" , \"b\""), "a b c d");
        assert_eq!(long("select \"a\"\"b\"\"cd\""), "a\"b\"cd");
        assert_eq!(long("select \"жжж\", жжж, жж"), "жжж жжж");
    }

    #[test]
    fn compares_tokens() {
        assert!(tokens_equal("select  1 -- x\n", "select 1"));
        assert!(!tokens_equal("select 1", "select 2"));
        assert!(!tokens_equal("select 'a  b'", "select 'a b'"));
    }
}
