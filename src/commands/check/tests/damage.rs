//! SQL as nobody writes it: examples cut up, spliced, repeated, quoted again and littered.

/// A small generator (xorshift), so that a failure comes back with the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A character boundary of a text, its end among them.
    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Two of them, in order.
    fn span(&mut self, text: &str) -> (usize, usize) {
        let (a, b) = (self.boundary(text), self.boundary(text));
        (a.min(b), a.max(b))
    }
}

/// What breaks readers of SQL.
const SCRAPS: &[&str] = &[
    "'",
    "''",
    "\"",
    "$$",
    "$a$",
    "E'\\",
    "U&\"",
    "/*",
    "*/",
    "--",
    "\n",
    "\r\n",
    ";",
    "(",
    ")",
    "\\.",
    "\\i x",
    "\u{feff}",
    "ж",
    "𐍈",
    "begin;",
    "commit;",
    "rollback;",
    "savepoint s;",
    "rollback to s;",
    "begin atomic",
    "end",
    "case",
    "copy t from stdin;\n",
    "-- UP MIGRATION\n",
    "-- DOWN MIGRATION\n/*\n",
    "-- migrate:up\n",
    "-- migrate:down\n",
    "-- lockkeeper: ignore drop-table x\n",
    "-- lockkeeper: ignore-file\n",
    "-- lockkeeper: transaction off\n",
    "-- lockkeeper: backfill table=a key=b\n",
    "-- squawk-ignore ban-drop-table\n",
    "if not exists",
    "concurrently",
    "null",
    "set search_path = '';",
    "pg_temp.",
    "::",
    "default",
    "generated always as (a) stored",
    "partition of",
    "do $$ begin execute 'drop table a'; end $$;",
    "rename to",
    "set schema",
    "like",
    "inherits (a)",
    "only",
    "0",
    "-1",
    "99999999999999999999",
];

/// What a terminal, a runner's log or a browser would take for more than text.
const SIGNS: &[&str] = &[
    "\u{1b}[31m",
    "\u{7}",
    "\u{202e}",
    "\u{200b}",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\r",
    "##[error]",
    "::error::",
    "<script>",
    "`",
    "%0A",
    "@here",
];

/// A few examples in a row, damaged.
pub(super) fn damaged(corpus: &[&str], seed: u64) -> String {
    let mut random = Random::new(seed);
    let mut text = String::new();
    for _ in 0..=random.below(6) {
        text.push_str(random.pick(corpus));
        text.push_str(if random.below(4) == 0 { "\n" } else { ";\n" });
    }
    for _ in 0..random.below(12) {
        damage(&mut text, &mut random, corpus);
    }
    text
}

fn damage(text: &mut String, random: &mut Random, corpus: &[&str]) {
    let (from, to) = random.span(text);
    let near = |text: &str, length: usize| to.min(next_boundary(text, from + length));
    match random.below(18) {
        0 => text.insert_str(from, random.pick(SCRAPS)),
        1 => text.replace_range(from..near(text, 12), ""),
        2 => {
            let piece = text[from..near(text, 400)].to_owned();
            let at = random.boundary(text);
            text.insert_str(at, &piece);
        }
        3 => text.insert_str(from, &format!(" {} ", random.pick(SCRAPS))),
        4 => {
            let words: Vec<&str> = text.split(' ').collect();
            let word = words[random.below(words.len())].to_owned();
            text.insert_str(from, &word);
        }
        5 => swap(text, random),
        6 => text.truncate(to),
        7 => {
            // The head of one statement and the tail of another.
            let other = random.pick(corpus);
            let cut = random.boundary(other);
            text.replace_range(from..to, &other[cut..]);
        }
        8 => {
            let body = text[from..to].to_owned();
            text.replace_range(from..to, &format!("do $a$ begin execute $b${body}$b$; {body}; end $a$"));
        }
        9 => {
            let escaped: String =
                text[from..near(text, 8)].chars().map(|c| format!("\\{:04x}", u32::from(c))).collect();
            let quote = random.pick(&["U&'", "U&\"", "E'", "N'"]);
            text.insert_str(from, &format!("{quote}{escaped}{}", &quote[quote.len() - 1..]));
        }
        10 => *text = text.replace('\n', "\r\n"),
        11 => *text = text.replace('\n', "\r"),
        12 => text.insert(if random.below(2) == 0 { 0 } else { from }, '\u{feff}'),
        13 => *text = text.to_uppercase(),
        14 => {
            let piece = text[from..near(text, 24)].to_owned();
            text.insert_str(from, &piece.repeat(random.below(200)));
        }
        15 => {
            let depth = random.below(300);
            let end = near(text, 40);
            text.insert_str(end, &")".repeat(depth));
            text.insert_str(from, &"(".repeat(depth));
        }
        16 => {
            let depth = random.below(40);
            text.insert_str(to, &"*/".repeat(depth));
            text.insert_str(from, &"/*".repeat(random.below(40)));
        }
        _ => text.insert_str(from, random.pick(SIGNS)),
    }
}

/// Two words change places.
fn swap(text: &mut String, random: &mut Random) {
    let mut words: Vec<&str> = text.split_inclusive([' ', '\n', ',', '(', ')']).collect();
    let (a, b) = (random.below(words.len()), random.below(words.len()));
    if !words.is_empty() {
        words.swap(a, b);
        *text = words.concat();
    }
}

/// Bytes as an editor of another system, or a broken disk, leaves them.
pub(super) fn spoiled(text: &str, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x5555);
    let mut bytes = match random.below(12) {
        0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(0xe9)).collect(),
        _ => text.as_bytes().to_vec(),
    };
    for _ in 0..random.below(3) {
        let at = random.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = random.below(256) as u8;
        }
    }
    bytes
}

pub(super) fn next_boundary(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
