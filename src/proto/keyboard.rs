//! Scanners that type: key events of an input device, as the characters of a keyboard with US layout.
//!
//! Source of codes: Linux `include/uapi/linux/input-event-codes.h`; a key event is (code, value) with 1 pressed, 0 let go
//! and 2 repeated. A scanner is set to US layout: others are for people. What stands for no character becomes
//! [`FOREIGN`], which no code has, so that a code is spoiled rather than shortened.

/// A byte that no code has: a key that types nothing we know.
pub const FOREIGN: u8 = 0x01;

const LEFT_SHIFT: u16 = 42;
const RIGHT_SHIFT: u16 = 54;
const CAPS_LOCK: u16 = 58;
/// Control, Alt and Meta: a code typed with them is a command to somebody.
const COMMAND_KEYS: [u16; 6] = [29, 97, 56, 100, 125, 126];

/// First code of each run of keys, what they type, and what they type with Shift.
const KEYS: [(u16, &[u8], &[u8]); 6] = [
    (2, b"1234567890-=", b"!@#$%^&*()_+"),
    (15, b"\tqwertyuiop[]\r", b"\tQWERTYUIOP{}\r"),
    (30, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"),
    (43, b"\\zxcvbnm,./", b"|ZXCVBNM<>?"),
    (55, b"*", b"*"),
    (57, b" ", b" "),
];
/// The number pad.
const PAD: [(u16, &[u8]); 3] = [(71, b"789-456+1230."), (96, b"\r"), (98, b"/")];

/// Which keys are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keyboard {
    shift: [bool; 2],
    caps: bool,
    commands: [bool; 6],
}

impl Keyboard {
    /// Takes one key event; gives the byte that it types.
    pub fn key(&mut self, code: u16, value: i32) -> Option<u8> {
        let is_down = value != 0;
        match code {
            LEFT_SHIFT | RIGHT_SHIFT => {
                let [left, right] = &mut self.shift;
                *(if code == LEFT_SHIFT { left } else { right }) = is_down;
                return None;
            }
            CAPS_LOCK => {
                self.caps ^= value == 1;
                return None;
            }
            _ => {}
        }
        if let Some(at) = COMMAND_KEYS.iter().position(|key| *key == code) {
            if let Some(held) = self.commands.get_mut(at) {
                *held = is_down;
            }
            return None;
        }
        // A scanner does not hold a key: what is repeated was stuck in a stalled cable, and is no second character.
        if value != 1 {
            return None;
        }
        if self.commands.contains(&true) {
            return Some(FOREIGN);
        }
        Some(self.character(code).unwrap_or(FOREIGN))
    }

    fn character(&self, code: u16) -> Option<u8> {
        let at = |first: u16, keys: &[u8]| {
            let at = usize::from(code.checked_sub(first)?);
            keys.get(at).copied()
        };
        let is_shifted = self.shift.contains(&true);
        let typed = KEYS.iter().find_map(|(first, plain, shifted)| {
            let plain = at(*first, plain)?;
            let shifted = at(*first, shifted)?;
            let caps = self.caps && plain.is_ascii_lowercase();
            Some(if is_shifted ^ caps { shifted } else { plain })
        });
        typed.or_else(|| PAD.iter().find_map(|(first, keys)| at(*first, keys)))
    }
}

/// The key events that type `text`, each key pressed and let go: for emulated scanners and tests. `None` for a character
/// that no key types.
#[must_use]
pub fn typed(text: &str) -> Option<Vec<(u16, i32)>> {
    let mut events = Vec::new();
    for byte in text.bytes() {
        let found = KEYS.iter().find_map(|(first, plain, shifted)| {
            let of = |keys: &[u8]| keys.iter().position(|key| *key == byte);
            let (at, shift) = of(plain)
                .map(|at| (at, false))
                .or_else(|| Some((of(shifted)?, true)))?;
            Some((first + u16::try_from(at).ok()?, shift))
        });
        let (code, shift) = found?;
        if shift {
            events.push((LEFT_SHIFT, 1));
        }
        events.extend([(code, 1), (code, 0)]);
        if shift {
            events.push((LEFT_SHIFT, 0));
        }
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(events: &[(u16, i32)]) -> Vec<u8> {
        let mut keyboard = Keyboard::default();
        let typed = events
            .iter()
            .filter_map(|(code, value)| keyboard.key(*code, *value));
        typed.collect()
    }

    #[test]
    fn every_character_of_a_code_comes_as_it_was_typed() {
        let all: String = (b' '..=b'~').map(char::from).collect();
        let line = format!("{all}\t\r");
        assert_eq!(bytes(&typed(&line).unwrap()), line.as_bytes());
        assert_eq!(typed("\u{e9}"), None);
    }

    /// By input-event-codes.h: KEY_A 30, KEY_1 2, KEY_ENTER 28, KEY_KPENTER 96, KEY_SLASH 53, KEY_KP0 82.
    #[test]
    fn codes_are_those_of_the_kernel() {
        let press = |code| [(code, 1), (code, 0)];
        for (code, byte) in [
            (30, b'a'),
            (2, b'1'),
            (28, b'\r'),
            (96, b'\r'),
            (53, b'/'),
            (82, b'0'),
            (44, b'z'),
        ] {
            assert_eq!(bytes(&press(code)), [byte]);
        }
        assert_eq!(bytes(&[(54, 1), (30, 1), (30, 0), (54, 0), (30, 1)]), b"Aa");
        assert_eq!(
            bytes(&[(58, 1), (58, 0), (30, 1), (2, 1), (58, 1), (30, 1)]),
            b"A1a"
        );
    }

    #[test]
    fn a_command_or_an_unknown_key_spoils_a_code_and_a_held_key_does_not_double_it() {
        assert_eq!(
            bytes(&[(29, 1), (46, 1), (46, 0), (29, 0), (46, 1)]),
            [FOREIGN, b'c']
        );
        assert_eq!(bytes(&[(1, 1), (1, 0), (103, 1)]), [FOREIGN, FOREIGN]);
        assert_eq!(bytes(&[(30, 1), (30, 2), (30, 2), (30, 0)]), b"a");
    }
}
