//! Where a property lies in JSON text, found by skipping over everything else.
//!
//! Quick and strict: whatever is rare, or may be wrong, is [`Located::Unsure`] and left to a parser that says what is
//! wrong and where. What is found here is what the parser would find.

use tidewire_model::value::Segment;

/// Values may lie so deep in each other.
const DEPTH_MAX: usize = 48;
/// One in every byte of a word.
const ONES: u64 = u64::MAX / 255;
/// The highest bit of every byte of a word.
const HIGH: u64 = ONES << 7;

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located<'d> {
    /// The text of a value. Looked over, but not parsed.
    At(&'d [u8]),
    /// The whole text is JSON, and there is nothing at the path.
    Nothing,
    /// To be parsed.
    Unsure,
}

/// Looks for the value at a path in JSON text.
pub(super) fn locate<'d>(json: &'d [u8], path: &[Segment]) -> Located<'d> {
    let mut scan = Scan { json, at: 0 };
    let found = scan.seek(path, DEPTH_MAX);
    scan.space();
    match found {
        Some(found) if scan.at == json.len() => {
            let text = found.and_then(|(start, end)| json.get(start..end));
            text.map_or(Located::Nothing, Located::At)
        }
        _ => Located::Unsure,
    }
}

/// Where a value begins and ends.
type Place = (usize, usize);

/// Everything answers `None` when it is not sure.
struct Scan<'d> {
    json: &'d [u8],
    at: usize,
}

impl<'d> Scan<'d> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The value at a path in the one that begins here, and goes behind that.
    fn seek(&mut self, path: &[Segment], depth: usize) -> Option<Option<Place>> {
        self.space();
        let start = self.at;
        let Some((step, rest)) = path.split_first() else {
            self.skip(depth)?;
            return Some(Some((start, self.at)));
        };
        match self.peek()? {
            b'{' => self.seek_key(step, rest, depth.checked_sub(1)?),
            b'[' => self.seek_item(step, rest, depth.checked_sub(1)?),
            b't' | b'f' | b'n' => self.skip(depth).map(|()| None),
            // A parser looks closer at a text or a number that is in the way.
            _ => None,
        }
    }

    fn seek_key(&mut self, step: &Segment, rest: &[Segment], depth: usize) -> Option<Option<Place>> {
        let (mut hits, mut found) = (0, None);
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(None);
        }
        loop {
            self.space();
            let key = self.key()?;
            let hit = match step {
                Segment::Key(wanted) => wanted.as_bytes() == key,
                Segment::Index(index) => std::str::from_utf8(key).ok()?.parse() == Ok(*index),
                Segment::Nested(_) => return None,
            };
            if !hit && !key.is_ascii() {
                std::str::from_utf8(key).ok()?;
            }
            self.space();
            self.expect(b':')?;
            if hit {
                hits += 1;
                found = self.seek(rest, depth)?;
            } else {
                self.skip(depth)?;
            }
            self.space();
            match self.next()? {
                b',' => {}
                // Whether the ones before the last hold what they should is for a parser to say.
                b'}' => return (hits <= 1).then_some(found),
                _ => return None,
            }
        }
    }

    fn seek_item(&mut self, step: &Segment, rest: &[Segment], depth: usize) -> Option<Option<Place>> {
        let wanted = match step {
            Segment::Index(index) => Some(*index),
            Segment::Key(key) => key.parse().ok(),
            Segment::Nested(_) => return None,
        };
        let mut found = None;
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(None);
        }
        for index in 0_usize.. {
            if Some(index) == wanted {
                found = self.seek(rest, depth)?;
            } else {
                self.skip(depth)?;
            }
            self.space();
            match self.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        Some(found)
    }

    /// Goes behind the value that begins here.
    fn skip(&mut self, depth: usize) -> Option<()> {
        self.space();
        match self.next()? {
            b'"' => self.text(),
            b'-' => {
                let first = self.next()?;
                self.number(first)
            }
            first @ b'0'..=b'9' => self.number(first),
            b'{' => self.members(depth.checked_sub(1)?),
            b'[' => self.items(depth.checked_sub(1)?),
            b't' => self.letters(b"rue"),
            b'f' => self.letters(b"alse"),
            b'n' => self.letters(b"ull"),
            _ => None,
        }
    }

    fn letters(&mut self, letters: &[u8]) -> Option<()> {
        let found = self.json.get(self.at..)?.starts_with(letters);
        self.at += letters.len();
        found.then_some(())
    }

    /// Behind the opening bracket of an object.
    fn members(&mut self, depth: usize) -> Option<()> {
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            self.expect(b'"')?;
            self.text()?;
            self.space();
            self.expect(b':')?;
            self.skip(depth)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Behind the opening bracket of an array.
    fn items(&mut self, depth: usize) -> Option<()> {
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.skip(depth)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Behind the first digit of a number.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' if matches!(self.peek(), Some(b'0'..=b'9')) => return None,
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    /// A key without escapes. It may not be UTF-8.
    fn key(&mut self) -> Option<&'d [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.plain()?;
        self.expect(b'"')?;
        self.json.get(start..end)
    }

    /// Behind the opening quote of a text.
    fn text(&mut self) -> Option<()> {
        loop {
            self.plain()?;
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => (0..4).all(|_| self.next().is_some_and(|byte| byte.is_ascii_hexdigit())).then_some(()),
            _ => None,
        }
    }

    /// Goes to the next quote, backslash or control character, and answers where that is.
    fn plain(&mut self) -> Option<usize> {
        let rest = self.json.get(self.at..)?;
        let mut len = 0;
        while let Some(word) = rest.get(len..).and_then(<[u8]>::first_chunk) {
            match special(u64::from_le_bytes(*word)) {
                0 => len += 8,
                found => {
                    self.at += len + found.trailing_zeros() as usize / 8;
                    return Some(self.at);
                }
            }
        }
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at += len + rest.get(len..)?.iter().position(is_special)?;
        Some(self.at)
    }
}

/// The highest bit of each byte that is a quote, a backslash or a control character. Bits above the lowest one may be
/// set without reason.
const fn special(word: u64) -> u64 {
    let (quote, backslash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    (is_quote | is_backslash | is_control) & HIGH
}

#[cfg(test)]
mod tests;
