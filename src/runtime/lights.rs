//! Which light goes with which prompt.

use crate::domain::Prompt;
use crate::drivers::gpio::Light;
use crate::drivers::serial::Look;

/// The light of a prompt: green to go, red to hold, none while nothing is decided.
pub(super) const fn light(prompt: Prompt) -> Light {
    match prompt {
        Prompt::Go | Prompt::EmergencyExit => Light::Green,
        Prompt::Idle
        | Prompt::UseCard
        | Prompt::UseCode
        | Prompt::Wait
        | Prompt::HoldStill
        | Prompt::LiftAndRetap
        | Prompt::ShowAgain => Light::Off,
        Prompt::Hold
        | Prompt::SeeStaff
        | Prompt::NotRecognised
        | Prompt::CodeExpired
        | Prompt::CodeNotYetValid
        | Prompt::CodeUsed
        | Prompt::OneAtATime
        | Prompt::CardNotSupported
        | Prompt::StepBack
        | Prompt::LaneClosed
        | Prompt::OutOfService => Light::Red,
    }
}

/// The same on a reader that has lights and a sound of its own.
pub(super) const fn look(prompt: Prompt) -> Look {
    match light(prompt) {
        Light::Green => Look::Go,
        Light::Red => Look::Stop,
        Light::Off => Look::Ready,
    }
}
