//! The verdict on a presentation, the reason for it, and the words shown for it.

use serde::{Deserialize, Serialize};

/// What a site wants for one outcome in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Let the person through.
    Open,
    /// Keep the barrier and call staff.
    Assist,
    /// Keep the barrier.
    Hold,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Verdict {
    /// The barrier is released once the grant is durable.
    Grant,
    /// The barrier stays; the reason says why.
    Deny,
    /// The barrier stays and staff are called.
    Assist,
}

impl Verdict {
    /// `grant`, `deny` or `assist`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Deny => "deny",
            Self::Assist => "assist",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $prompt:ident),+ $(,)?) => {
        /// Why it was decided so. A grant has a reason too: an open exit is not a green code.
        /// Names follow the BACnet access events (ASHRAE 135) where there is one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $text)] $name),+ }

        impl Reason {
            /// Every reason, for tables and metrics.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in records and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What the passenger is shown if this reason refuses them.
            #[must_use]
            pub const fn prompt(self) -> Prompt {
                match self { $(Self::$name => Prompt::$prompt),+ }
            }
        }
    };
}

reasons! {
    /// Colour, validity and entitlements are in order.
    InOrder = "in_order" => Go,
    /// Exit: nobody is trapped, whatever the health outcome.
    ExitAlwaysOpen = "exit_always_open" => Go,
    /// Staff let this person through.
    ByStaff = "by_staff" => Go,
    /// The site lets this outcome through on this side.
    SiteRule = "site_rule" => Go,
    /// The code is red.
    RedCode = "red_code" => Hold,
    /// The code is yellow.
    YellowCode = "yellow_code" => SeeStaff,
    /// No list and no backend knows this credential (BACnet 129).
    UnknownCredential = "unknown_credential" => NotRecognised,
    /// Known, but has not applied for a code.
    NotApplied = "not_applied" => NotRecognised,
    /// The backend could not find out.
    QueryFailed = "query_failed" => SeeStaff,
    /// Nobody answered in time (BACnet 163).
    VerificationTimeout = "verification_timeout" => SeeStaff,
    /// No entitlement to ride (BACnet 135).
    NoAccessRights = "no_access_rights" => Hold,
    /// Past its validity (BACnet 152).
    Expired = "expired" => CodeExpired,
    /// Before its validity (BACnet 151).
    NotYetActive = "not_yet_active" => CodeNotYetValid,
    /// The same code was used before: a copy or a screenshot.
    Replayed = "replayed" => CodeUsed,
    /// The same person in the same direction again (BACnet 138).
    Passback = "passback" => CodeUsed,
    /// Check digit, date or what a signature covers does not hold (BACnet 162).
    VerificationFailed = "verification_failed" => NotRecognised,
    /// A signature does not hold: forged, altered or damaged.
    WrongSignature = "wrong_signature" => NotRecognised,
    /// Its issuer has no key of the id that it names.
    UnknownKey = "unknown_key" => NotRecognised,
    /// The key that signed it was revoked.
    KeyRevoked = "key_revoked" => NotRecognised,
    /// Its issuer has revoked it.
    Revoked = "revoked" => Hold,
    /// The card and its module did not authenticate each other: a security event.
    CardNotAuthentic = "card_not_authentic" => SeeStaff,
    /// No issuer of the trust list recognises it.
    UnknownIssuer = "unknown_issuer" => NotRecognised,
    /// Read, but longer or stranger than any code may be.
    Malformed = "malformed" => NotRecognised,
    /// A code that anybody can copy, and nothing beside it that says whose it is.
    StaticAlone = "static_alone" => SeeStaff,
    /// Anybody could have shown it, and this side asks for more: a signature, or a card that proves itself.
    AssuranceTooLow = "assurance_too_low" => SeeStaff,
    /// A number that the chip makes up anew each time: it names nobody.
    RandomIdentifier = "random_identifier" => NotRecognised,
    /// A list is older than the site allows, or has never arrived.
    StaleList = "stale_list" => SeeStaff,
    /// The trust list is past its date.
    TrustExpired = "trust_expired" => SeeStaff,
    /// The decision needs the date and the clock is not trusted.
    ClockUntrusted = "clock_untrusted" => SeeStaff,
    /// The lane does not serve this side now (BACnet 161).
    LaneClosed = "lane_closed" => LaneClosed,
    /// The lane cannot serve: its barrier does not obey, or its aisle does not clear (BACnet 161).
    OutOfService = "out_of_service" => OutOfService,
    /// The gate was serving somebody else.
    LaneBusy = "lane_busy" => OneAtATime,
    /// Shown too long ago: it never opens a gate later.
    TooLate = "too_late" => ShowAgain,
    /// The grant could not be made durable, and the site holds in that case.
    JournalStalled = "journal_stalled" => SeeStaff,
    /// The journal is full, and the site holds in that case.
    JournalFull = "journal_full" => SeeStaff,
}

macro_rules! prompts {
    ($($(#[$doc:meta])* $name:ident = $id:literal),+ $(,)?) => {
        /// What a passenger is told. The id is kept in records and names the picture, the words and the tone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Prompt { $($(#[$doc])* #[serde(rename = $id)] $name),+ }

        impl Prompt {
            /// Every prompt.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The id in records, on pages and in the README.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }
        }
    };
}

prompts! {
    /// "Show your code or tap your ID card."
    Idle = "idle",
    /// "Codes cannot be read here: please tap your ID card, or use another lane."
    UseCard = "use_card",
    /// "Cards cannot be read here: please show your code, or use another lane."
    UseCode = "use_code",
    /// "Please go."
    Go = "go",
    /// "Please wait": the backend is being asked.
    Wait = "wait",
    /// "You cannot pass here."
    Hold = "hold",
    /// "Please see the staff."
    SeeStaff = "see_staff",
    /// "We do not know this code or card."
    NotRecognised = "not_recognised",
    /// "This code has expired; please refresh it."
    CodeExpired = "code_expired",
    /// "This code is not valid yet."
    CodeNotYetValid = "code_not_yet_valid",
    /// "This code has been used."
    CodeUsed = "code_used",
    /// "One at a time, please."
    OneAtATime = "one_at_a_time",
    /// "Please show it again."
    ShowAgain = "show_again",
    /// "Hold still, and make the screen brighter."
    HoldStill = "hold_still",
    /// "Lift the card and lay it on again."
    LiftAndRetap = "lift_and_retap",
    /// "This card is not supported."
    CardNotSupported = "card_not_supported",
    /// "Please step back."
    StepBack = "step_back",
    /// "This lane is closed."
    LaneClosed = "lane_closed",
    /// "Out of service; please use another lane."
    OutOfService = "out_of_service",
    /// "Leave the station by any lane."
    EmergencyExit = "emergency_exit",
}

/// What the sensors say came of a grant, or of nobody's grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The person walked through.
    Passed,
    /// Granted, and nobody came.
    NoEntryAfterGrant,
    /// A second person on one grant.
    Tailgating,
    /// Somebody came against the direction of the grant.
    WrongWay,
    /// Somebody crossed without a grant.
    Intrusion,
    /// The aisle has not cleared for longer than a person needs.
    Obstruction,
    /// The leaf does not shut: somebody holds it.
    HeldOpen,
    /// The leaf or the rotor was moved though it was locked.
    Forced,
    /// A child or a bag below the beams went with a rider, and the site counts it.
    Companion,
    /// Walked through while fire or free mode kept the barrier open.
    PassedUncontrolled,
    /// The process ended before the sensors could say.
    UnknownAfterRestart,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Self] = &[
        Self::Passed,
        Self::NoEntryAfterGrant,
        Self::Tailgating,
        Self::WrongWay,
        Self::Intrusion,
        Self::Obstruction,
        Self::HeldOpen,
        Self::Forced,
        Self::Companion,
        Self::PassedUncontrolled,
        Self::UnknownAfterRestart,
    ];

    /// The name in records and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NoEntryAfterGrant => "no_entry_after_grant",
            Self::Tailgating => "tailgating",
            Self::WrongWay => "wrong_way",
            Self::Intrusion => "intrusion",
            Self::Obstruction => "obstruction",
            Self::HeldOpen => "held_open",
            Self::Forced => "forced",
            Self::Companion => "companion",
            Self::PassedUncontrolled => "passed_uncontrolled",
            Self::UnknownAfterRestart => "unknown_after_restart",
        }
    }
}
