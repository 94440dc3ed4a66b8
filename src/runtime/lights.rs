//! Which light and which tone go with which prompt.

use crate::domain::Prompt;
use crate::drivers::gpio::{Colour, Pattern, Signal};
use crate::drivers::serial::Look;

const SLOW: Pattern = Pattern::Blink {
    on_ms: 500,
    off_ms: 500,
};
const FAST: Pattern = Pattern::Blink {
    on_ms: 150,
    off_ms: 150,
};

/// So many short tones.
const fn beeps(times: u16) -> Pattern {
    Pattern::Times {
        on_ms: 80,
        off_ms: 120,
        times,
    }
}

const LONG: Pattern = Pattern::Times {
    on_ms: 600,
    off_ms: 200,
    times: 1,
};

/// The signal of a prompt. Green is to go and red to hold; steady is an answer, slow blinking asks for something, fast
/// blinking warns. One short tone is yes, two are no, three call staff, a long one warns. Colour-blind and blind
/// passengers tell them apart by rhythm.
pub(super) const fn signal(prompt: Prompt) -> Signal {
    let (colour, light, tone) = match prompt {
        Prompt::Go => (Colour::Green, Pattern::Steady, beeps(1)),
        Prompt::EmergencyExit => (Colour::Green, FAST, LONG),
        Prompt::Idle | Prompt::UseCard | Prompt::UseCode => {
            (Colour::Off, Pattern::Off, Pattern::Off)
        }
        Prompt::Wait => (Colour::Red, SLOW, Pattern::Off),
        Prompt::HoldStill | Prompt::LiftAndRetap | Prompt::ShowAgain => {
            (Colour::Red, SLOW, beeps(1))
        }
        Prompt::Hold
        | Prompt::NotRecognised
        | Prompt::CodeExpired
        | Prompt::CodeNotYetValid
        | Prompt::CodeUsed
        | Prompt::OneAtATime
        | Prompt::CardNotSupported => (Colour::Red, Pattern::Steady, beeps(2)),
        Prompt::SeeStaff => (Colour::Red, SLOW, beeps(3)),
        Prompt::StepBack => (Colour::Red, FAST, LONG),
        Prompt::LaneClosed | Prompt::OutOfService => (Colour::Red, Pattern::Steady, Pattern::Off),
    };
    Signal {
        colour,
        light,
        tone,
    }
}

/// The same on a reader that has lights and a sound of its own: what asks for something leaves it as it waits.
pub(super) const fn look(prompt: Prompt) -> Look {
    let asks = matches!(
        prompt,
        Prompt::Wait | Prompt::HoldStill | Prompt::LiftAndRetap | Prompt::ShowAgain
    );
    match signal(prompt).colour {
        Colour::Green => Look::Go,
        Colour::Red if !asks => Look::Stop,
        Colour::Red | Colour::Off => Look::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_no_and_staff_differ_by_more_than_colour() {
        let yes = signal(Prompt::Go);
        for no in [
            Prompt::Hold,
            Prompt::SeeStaff,
            Prompt::StepBack,
            Prompt::CodeUsed,
        ] {
            assert_ne!(signal(no).colour, yes.colour, "{no:?}");
            assert_ne!(signal(no).tone, yes.tone, "{no:?}");
        }
        assert_ne!(signal(Prompt::SeeStaff).light, signal(Prompt::Hold).light);
    }

    #[test]
    fn green_is_shown_to_nobody_who_is_to_hold() {
        for prompt in Prompt::ALL {
            let green = signal(*prompt).colour == Colour::Green;
            let may_go = matches!(prompt, Prompt::Go | Prompt::EmergencyExit);
            assert_eq!(green, may_go, "{prompt:?}");
        }
    }
}
