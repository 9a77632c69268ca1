//! Numbers for tests that try many things.

/// Numbers that look random and are the same in every run, from a seed that is not 0.
pub struct Random(pub u64);

impl Random {
    /// From 0 up to the bound, without it.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
