//! What a terminal sends: keys, the mouse, pastes; and among them its answers about pictures, whenever they come.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui_image::picker::cap_parser::{Parser, Response};

/// Something that a terminal sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// Something that its user did.
    Event(Event),
    /// All that it answers to a question about pictures.
    Answers(Vec<Response>),
}

/// Takes bytes, gives what they mean.
pub struct Bytes {
    /// What is not complete yet.
    unit: Vec<u8>,
    /// Whether answers are to come.
    asked: bool,
    answers: Vec<Response>,
    parser: Parser,
}

/// An answer is never as long as this.
const LONGEST: usize = 256;

const ESC: u8 = 0x1b;

enum Look {
    /// The next byte decides.
    Wait,
    /// It means nothing.
    Nothing,
    /// It means this.
    Event(Event),
    /// It means this, but for its last byte, with which something else begins.
    Before(Event),
    Answer,
}

impl Bytes {
    /// For a terminal that was asked, or not.
    pub fn new(asked: bool) -> Self {
        Self {
            unit: Vec::new(),
            asked,
            answers: Vec::new(),
            parser: Parser::new(),
        }
    }

    /// Takes all bytes that are there.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Sent> {
        let mut sent = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            self.unit.push(*byte);
            let last = at + 1 == bytes.len();
            loop {
                match self.look(last) {
                    Look::Wait => break,
                    Look::Nothing => {}
                    Look::Event(event) => sent.push(Sent::Event(event)),
                    Look::Before(event) => {
                        sent.push(Sent::Event(event));
                        self.unit = vec![*byte];
                        continue;
                    }
                    Look::Answer => sent.extend(self.answer()),
                }
                self.unit.clear();
                break;
            }
        }
        sent
    }

    /// What the unit means; `last` when nothing more has come so far.
    fn look(&self, last: bool) -> Look {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        match self.unit.as_slice() {
            [ESC] if !last => return Look::Wait,
            // What was typed before the terminal was taken over has line feeds: Enter is meant.
            [b'\n'] => return Look::Event(key(KeyCode::Enter, KeyModifiers::NONE)),
            [ESC, ESC] => return Look::Before(key(KeyCode::Esc, KeyModifiers::NONE)),
            [ESC, b'_'] if !last || self.asked => return Look::Wait,
            [ESC, b'_', b'G', .., ESC, b'\\'] => return Look::Answer,
            [ESC, b'_', b'G', ..] if self.unit.len() > LONGEST => return Look::Nothing,
            [ESC, b'_', b'G', ..] => return Look::Wait,
            [ESC, b'_', _] => return Look::Before(key(KeyCode::Char('_'), KeyModifiers::ALT)),
            [ESC, b'[', middle @ .., b'c' | b't' | b'n'] if is_numbers(middle) => return Look::Answer,
            [ESC, b'[', b'?', middle @ .., b'@'..=b'~'] if is_numbers(middle) => return Look::Nothing,
            _ => {}
        }
        match terminput::Event::parse_from(&self.unit) {
            Ok(None) => Look::Wait,
            Ok(Some(event)) => terminput_crossterm::to_crossterm(event).map_or(Look::Nothing, Look::Event),
            Err(_) => Look::Nothing,
        }
    }

    /// Takes note of an answer; the last one is that all is well.
    fn answer(&mut self) -> Option<Sent> {
        let said = self.unit.iter().flat_map(|byte| self.parser.push(char::from(*byte)));
        self.answers.extend(said);
        if self.answers.last() != Some(&Response::Status) {
            return None;
        }
        self.asked = false;
        Some(Sent::Answers(std::mem::take(&mut self.answers)))
    }
}

fn is_numbers(bytes: &[u8]) -> bool {
    let all = bytes.strip_prefix(b"?").unwrap_or(bytes);
    !bytes.is_empty() && all.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(sent: &[Sent]) -> Vec<String> {
        let word = |sent: &Sent| match sent {
            Sent::Event(Event::Key(key)) => format!("{:?} {:?}", key.modifiers, key.code),
            Sent::Event(Event::Paste(text)) => format!("paste {text}"),
            other => format!("{other:?}"),
        };
        sent.iter().map(word).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<String> {
        words(&Bytes::new(false).take(bytes))
    }

    const NONE: &str = "KeyModifiers(0x0)";

    #[test]
    fn keys_are_what_they_are() {
        let plain = |code: &str| format!("{NONE} {code}");
        let with = |modifiers: &str, code: &str| format!("KeyModifiers({modifiers}) {code}");
        for (bytes, key) in [
            (&b"a"[..], plain("Char('a')")),
            (b"A", with("SHIFT", "Char('A')")),
            ("é".as_bytes(), plain("Char('é')")),
            (b"\x1b", plain("Esc")),
            (b"\r", plain("Enter")),
            (b"\n", plain("Enter")),
            (b"\t", plain("Tab")),
            (b"\x7f", plain("Backspace")),
            (b"\x03", with("CONTROL", "Char('c')")),
            (b"\x1b[Z", with("SHIFT", "BackTab")),
            (b"\x1b[A", plain("Up")),
            (b"\x1bOD", plain("Left")),
            (b"\x1b[1;2B", with("SHIFT", "Down")),
            (b"\x1bh", with("ALT", "Char('h')")),
            (b"\x1b\r", with("ALT", "Enter")),
            (b"\x1b_", with("ALT", "Char('_')")),
            (b"\x1bOQ", plain("F(2)")),
            (b"\x1b[3~", plain("Delete")),
            (b"\x1b[5~", plain("PageUp")),
        ] {
            assert_eq!(keys(bytes), [key], "{bytes:?}");
        }
        assert_eq!(keys(b"\x1b\x1b"), [plain("Esc"), plain("Esc")]);
        assert_eq!(
            keys(b"\x1b[200~two\nlines, 6t\x1b[201~x"),
            ["paste two\nlines, 6t".to_owned(), plain("Char('x')")]
        );
        let mouse = Bytes::new(false).take(b"\x1b[<0;12;5M\x1b[<32;13;5M\x1b[I\x1b[O");
        assert_eq!(mouse.len(), 4, "{mouse:?}");
    }

    const ANSWER: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4;22c\x1b[6;20;10t\x1b[0n";

    fn answers() -> Sent {
        let cells = Response::CellSize(Some((10, 20)));
        Sent::Answers(vec![Response::Kitty, Response::Sixel, cells, Response::Status])
    }

    #[test]
    fn unknown_answers_are_no_keys() {
        assert_eq!(keys(b"\x1b[?1;2S\x1b[?0u\x1b[8;24;80t"), Vec::<String>::new());
        // One that never ends does not take the keys with it.
        let mut bytes = Bytes::new(true);
        bytes.take(b"\x1b_G");
        bytes.take(&[b'x'; LONGEST]);
        assert_eq!(words(&bytes.take(b"j")), [format!("{NONE} Char('j')")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// Wherever the answer comes among keys, and however it is cut, the keys are all there and it is read.
        #[test]
        fn answers_among_keys_take_none_with_them(
            before in "[a-zé_;=0-9\\[]{0,8}", after in "[a-zé_;=0-9\\[]{0,8}", cuts in prop::collection::vec(0..100_usize, 0..6)
        ) {
            let mut all = before.clone().into_bytes();
            all.extend(ANSWER);
            all.extend(after.bytes());
            let mut bytes = Bytes::new(true);
            let mut sent = Vec::new();
            let mut from = 0;
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (all.len() + 1)).collect();
            cuts.sort_unstable();
            // A cut behind the very first byte of an answer makes a key of it: Escape, which would otherwise never come.
            let escapes = |cut: &usize| *cut > 0 && all[*cut - 1] == 0x1b;
            cuts.retain(|cut| !escapes(cut) || all.get(*cut) == Some(&b'\\'));
            for cut in cuts.into_iter().chain([all.len()]) {
                sent.extend(bytes.take(&all[from..cut]));
                from = cut;
            }
            let typed = |text: &str| text.chars().map(|c| format!("{NONE} Char({c:?})")).collect::<Vec<_>>();
            let expected: Vec<String> =
                [typed(&before), vec![format!("{:?}", answers())], typed(&after)].concat();
            prop_assert_eq!(words(&sent), expected);
        }
    }
}
