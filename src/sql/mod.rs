//! The parser's only door: text to pieces, pieces to parse trees.

mod abridge;
pub(crate) mod ast;
mod cut;
mod kind;
mod newer;
mod newer_parts;
mod parallel;
mod parse;
mod position;
mod quote;
pub(crate) mod secrets;
mod transaction;
mod walk;

pub(crate) use cut::{Comment, Cut, Piece, PieceKind, Unclosed, cut};
pub(crate) use kind::kind;
pub(crate) use newer::{Newer, newer_than};
pub(crate) use newer_parts::newer_number;
pub(crate) use parallel::{WORTHWHILE, drop_aside, each, in_order, with_large_stack};
pub(crate) use parse::{
    Parsed, SyntaxError, contains_any_ignoring_case, contains_ignoring_case, deparse, expression_text,
    long_identifiers, parse, parse_each, parse_plpgsql, tokens_equal, type_text,
};
pub(crate) use position::Lines;
pub(crate) use quote::{ident, literal, qualified};
pub(crate) use transaction::{Outside, modes};
pub(crate) use walk::{walk, walk_all};
