//! The words, shape and tone of every prompt: one table for every display. A shape and a motion say the same as the colour,
//! for whoever does not see colours; a tone for whoever does not see.

use serde::Serialize;

use crate::domain::{Prompt, Reason};

/// What is drawn. Each is a symbol of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A phone and a card: the lane waits for somebody.
    Show,
    /// A card.
    Card,
    /// A phone.
    Phone,
    /// An arrow that moves on.
    Arrow,
    /// An hourglass.
    Wait,
    /// A raised hand.
    Hand,
    /// Somebody who helps.
    Staff,
    /// A question mark.
    Question,
    /// A clock.
    Clock,
    /// One person.
    One,
    /// A turn of arrows: once more.
    Again,
    /// An arrow back.
    Back,
    /// A bar across.
    Bar,
    /// Somebody who runs out.
    Exit,
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Nothing.
    None,
    /// Two notes up.
    Go,
    /// One low note, long.
    Hold,
    /// Two short notes: look here.
    Look,
    /// High and low, again and again.
    Alarm,
}

/// A sentence in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Chinese.
    pub zh: &'static str,
    /// English.
    pub en: &'static str,
}

/// How a prompt is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Words {
    /// What is drawn.
    pub shape: Shape,
    /// What is heard.
    pub tone: Tone,
    /// What is said, in large type.
    pub says: Said,
    /// What to do about it.
    pub more: Said,
}

const fn sign(shape: Shape, tone: Tone, says: Said, more: Said) -> Words {
    Words {
        shape,
        tone,
        says,
        more,
    }
}

const fn said(zh: &'static str, en: &'static str) -> Said {
    Said { zh, en }
}

/// How `prompt` is shown.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table: one arm a prompt")]
pub const fn words(prompt: Prompt) -> Words {
    use {Shape as S, Tone as T};
    match prompt {
        Prompt::Idle => sign(
            S::Show,
            T::None,
            said("请扫码或刷身份证", "Show code or tap ID card"),
            said("一次一人", "One person at a time"),
        ),
        Prompt::UseCard => sign(
            S::Card,
            T::None,
            said("请刷身份证", "Tap your ID card"),
            said(
                "此处暂不能扫码，或走其他通道",
                "No codes here now, or use another lane",
            ),
        ),
        Prompt::UseCode => sign(
            S::Phone,
            T::None,
            said("请扫码", "Show your code"),
            said(
                "此处暂不能刷卡，或走其他通道",
                "No cards here now, or use another lane",
            ),
        ),
        Prompt::Go => sign(
            S::Arrow,
            T::Go,
            said("请通行", "Please go"),
            said("祝您一路平安", "Have a good journey"),
        ),
        Prompt::Wait => sign(
            S::Wait,
            T::None,
            said("请稍候", "Please wait"),
            said("正在查询", "We are asking"),
        ),
        Prompt::Hold => sign(
            S::Hand,
            T::Hold,
            said("不能通行", "You cannot pass"),
            said("请与工作人员联系", "Please talk to the staff"),
        ),
        Prompt::SeeStaff => sign(
            S::Staff,
            T::Look,
            said("请找工作人员", "Please see the staff"),
            said("工作人员已收到通知", "They have been called"),
        ),
        Prompt::NotRecognised => sign(
            S::Question,
            T::Hold,
            said("无法识别", "Not recognised"),
            said("请换用其他码或身份证", "Try another code or your ID card"),
        ),
        Prompt::CodeExpired => sign(
            S::Clock,
            T::Hold,
            said("此码已过期", "Code has expired"),
            said("请刷新后再扫", "Refresh it and show it again"),
        ),
        Prompt::CodeNotYetValid => sign(
            S::Clock,
            T::Hold,
            said("此码尚未生效", "Code is not valid yet"),
            said("请检查手机时间", "Check the clock of your phone"),
        ),
        Prompt::CodeUsed => sign(
            S::Again,
            T::Hold,
            said("此码已使用", "Code has been used"),
            said("请刷新后再扫", "Refresh it and show it again"),
        ),
        Prompt::OneAtATime => sign(
            S::One,
            T::Look,
            said("请逐一通行", "One at a time"),
            said(
                "请等前面的人通过",
                "Wait until the person before you is through",
            ),
        ),
        Prompt::ShowAgain => sign(
            S::Again,
            T::Look,
            said("请再出示一次", "Show it again"),
            said("请重新扫码或刷卡", "Code or card once more"),
        ),
        Prompt::HoldStill => sign(
            S::Phone,
            T::Look,
            said("请拿稳手机", "Hold still"),
            said("并调高屏幕亮度", "And make the screen brighter"),
        ),
        Prompt::LiftAndRetap => sign(
            S::Card,
            T::Look,
            said("请重新刷卡", "Tap again"),
            said("拿起卡片，再放上", "Lift the card and lay it on again"),
        ),
        Prompt::CardNotSupported => sign(
            S::Card,
            T::Hold,
            said("不支持此卡", "Card not supported"),
            said("请扫码或找工作人员", "Show a code or see the staff"),
        ),
        Prompt::StepBack => sign(
            S::Back,
            T::Alarm,
            said("请后退", "Please step back"),
            said("离开通道后再来", "Leave the aisle and come again"),
        ),
        Prompt::LaneClosed => sign(
            S::Bar,
            T::None,
            said("通道关闭", "Lane closed"),
            said("请走其他通道", "Use another lane"),
        ),
        Prompt::OutOfService => sign(
            S::Bar,
            T::None,
            said("暂停服务", "Out of service"),
            said("请走其他通道", "Use another lane"),
        ),
        Prompt::EmergencyExit => sign(
            S::Exit,
            T::Alarm,
            said("紧急出口", "Emergency exit"),
            said("请立即离开，闸机已打开", "Leave now, the gates are open"),
        ),
    }
}

/// What failed, for the passenger who was refused: health, ride, or the code. A discreet site does not tell bystanders a
/// colour. `None` where the prompt has said it all.
#[must_use]
pub const fn why(reason: Reason, discreet: bool) -> Option<Said> {
    match reason {
        Reason::RedCode => Some(if discreet {
            said("健康查验未通过", "Health check not passed")
        } else {
            said("健康码：红码", "Health code: red")
        }),
        Reason::YellowCode => Some(if discreet {
            said("健康查验未通过", "Health check not passed")
        } else {
            said("健康码：黄码", "Health code: yellow")
        }),
        Reason::NotApplied => Some(said("未找到健康码信息", "No health code found")),
        Reason::NoAccessRights => Some(said("乘车码无效", "No valid ride")),
        Reason::QueryFailed | Reason::VerificationTimeout => {
            Some(said("暂时无法查询", "We cannot ask at the moment"))
        }
        Reason::StaticAlone => Some(said("需另行出示证件", "A second proof is needed")),
        Reason::AssuranceTooLow => Some(said(
            "此处不接受此类卡",
            "This kind of card is not enough here",
        )),
        Reason::Revoked => Some(said("证书已被撤销", "Certificate was revoked")),
        Reason::InOrder
        | Reason::ExitAlwaysOpen
        | Reason::SiteRule
        | Reason::ByStaff
        | Reason::UnknownCredential
        | Reason::Expired
        | Reason::NotYetActive
        | Reason::Replayed
        | Reason::Passback
        | Reason::VerificationFailed
        | Reason::WrongSignature
        | Reason::UnknownKey
        | Reason::KeyRevoked
        | Reason::CardNotAuthentic
        | Reason::UnknownIssuer
        | Reason::Malformed
        | Reason::StaleList
        | Reason::TrustExpired
        | Reason::RandomIdentifier
        | Reason::ClockUntrusted
        | Reason::LaneClosed
        | Reason::OutOfService
        | Reason::LaneBusy
        | Reason::TooLate
        | Reason::JournalStalled
        | Reason::JournalFull => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_mistaken_has_another_shape_or_other_words() {
        for (i, one) in Prompt::ALL.iter().enumerate() {
            for other in Prompt::ALL.iter().skip(i + 1) {
                let (one, other) = (words(*one), words(*other));
                assert_ne!(one.says, other.says);
            }
        }
        let go = words(Prompt::Go);
        let same =
            |prompt: &&Prompt| words(**prompt).shape == go.shape || words(**prompt).tone == go.tone;
        assert_eq!(
            Prompt::ALL.iter().filter(same).count(),
            1,
            "go looks and sounds like nothing else"
        );
    }

    #[test]
    fn words_fit_a_display_that_is_read_at_three_metres() {
        for prompt in Prompt::ALL {
            let words = words(*prompt);
            assert!(words.says.zh.chars().count() <= 10, "{prompt:?}");
            assert!(words.says.en.chars().count() <= 26, "{prompt:?}");
            assert!(words.more.zh.chars().count() <= 16, "{prompt:?}");
            assert!(words.more.en.chars().count() <= 44, "{prompt:?}");
        }
    }
}
