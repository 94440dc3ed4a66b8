//! What a reader shows and sounds.

use osdp::command::buzzer::BuzzerTone;
use osdp::command::led::{LedPermanent, LedRecord, LedTemporary};
use osdp::command::{BuzzerControl, LedColor, LedControl};

/// What a reader shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Ready for a card.
    #[default]
    Ready,
    /// Green, and one beep.
    Go,
    /// Red, and three beeps.
    Stop,
}

pub(super) fn led(look: Look) -> LedControl {
    let colour = match look {
        Look::Ready => LedColor::Blue,
        Look::Go => LedColor::Green,
        Look::Stop => LedColor::Red,
    };
    LedControl::new(vec![LedRecord {
        reader: 0,
        led: 0,
        temporary: LedTemporary {
            control: 0,
            on_time: 0,
            off_time: 0,
            on_color: LedColor::Black,
            off_color: LedColor::Black,
            timer: 0,
        },
        permanent: LedPermanent {
            control: 1,
            on_time: 1,
            off_time: 0,
            on_color: colour,
            off_color: colour,
        },
    }])
}

pub(super) const fn buzzer(look: Look) -> BuzzerControl {
    let (tone, count) = match look {
        Look::Ready => (BuzzerTone::Off, 1),
        Look::Go => (BuzzerTone::Default, 1),
        Look::Stop => (BuzzerTone::Default, 3),
    };
    BuzzerControl {
        reader: 0,
        tone,
        on_time: 1,
        off_time: 1,
        count,
    }
}
