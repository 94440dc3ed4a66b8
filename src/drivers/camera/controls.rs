//! Camera settings as a gate needs them: V4L2 controls, where the camera has them.
//!
//! A phone is bright and moves. Left to itself a webcam lowers its rate to expose a dim hall for longer, and the phone
//! smears; it hunts for focus whenever a hand passes. Numbers of the controls: Linux `v4l2-controls.h`, "User-class control
//! IDs" and "Camera class control IDs"; meanings: V4L2 API documentation, "User Controls", "Camera Control Reference".

use nokhwa::Camera;
use nokhwa::utils::{ControlValueDescription, ControlValueSetter, KnownCameraControl};

use crate::config::tree;

const GAIN_AUTO: u128 = 0x0098_0912;
const GAIN: u128 = 0x0098_0913;
const POWER_LINE_FREQUENCY: u128 = 0x0098_0918;
const EXPOSURE_AUTO: u128 = 0x009A_0901;
const EXPOSURE_ABSOLUTE: u128 = 0x009A_0902;
const EXPOSURE_AUTO_PRIORITY: u128 = 0x009A_0903;
const FOCUS_ABSOLUTE: u128 = 0x009A_090A;
const FOCUS_AUTO: u128 = 0x009A_090C;
/// Menu entries of the exposure: by hand; and with the aperture first, which is what UVC cameras call automatic.
const EXPOSURE_MANUAL: i64 = 1;
const EXPOSURE_APERTURE_PRIORITY: i64 = 3;
/// `V4L2_CID_EXPOSURE_ABSOLUTE` counts in these.
const EXPOSURE_UNIT_US: u32 = 100;

/// One control and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    id: u128,
    value: i64,
    /// The key of the config that asks for it; none: every gate wants it so, and a camera without it is as good.
    key: Option<&'static str>,
}

/// What the config asks for, in the order in which cameras take it: by hand first, then the value.
fn wanted(settings: &tree::Camera) -> Vec<Setting> {
    let set = |id, value, key| Setting { id, value, key };
    let mut all = vec![
        // The frame rate is not given up for a longer exposure: no exposure is longer than a frame.
        set(EXPOSURE_AUTO_PRIORITY, 0, None),
    ];
    if let Some(exposure) = settings.exposure {
        let key = Some("exposure_us");
        let units = exposure.get().div_ceil(EXPOSURE_UNIT_US);
        all.push(set(EXPOSURE_AUTO, EXPOSURE_MANUAL, key));
        all.push(set(EXPOSURE_ABSOLUTE, units.into(), key));
    } else {
        all.push(set(EXPOSURE_AUTO, EXPOSURE_APERTURE_PRIORITY, None));
    }
    if let Some(gain) = settings.gain {
        all.push(set(GAIN_AUTO, 0, None));
        all.push(set(GAIN, gain.get().into(), Some("gain")));
    }
    if let Some(focus) = settings.focus {
        let key = Some("focus");
        all.push(set(FOCUS_AUTO, 0, key));
        all.push(set(FOCUS_ABSOLUTE, focus.get().into(), key));
    }
    if let Some(mains) = settings.mains {
        all.push(set(POWER_LINE_FREQUENCY, mains.entry(), Some("mains_hz")));
    }
    all
}

/// Sets what the camera has. What it lacks or refuses is said, and it serves without.
pub(super) fn apply(camera: &mut Camera, settings: &tree::Camera, device: &str) {
    let has = match camera.camera_controls() {
        Ok(has) => has,
        Err(error) => {
            tracing::warn!(device, error = %error, "the camera does not tell its controls");
            return;
        }
    };
    for setting in wanted(settings) {
        // Gain is the one of these that has a name there.
        let control = if setting.id == GAIN {
            KnownCameraControl::Gain
        } else {
            KnownCameraControl::Other(setting.id)
        };
        let Some(found) = has.iter().find(|one| one.control() == control) else {
            if let Some(key) = setting.key {
                tracing::warn!(device, key, "the camera has no such control");
            }
            continue;
        };
        let value = if let ControlValueDescription::Boolean { .. } = found.description() {
            ControlValueSetter::Boolean(setting.value != 0)
        } else if let ControlValueDescription::IntegerRange { min, max, .. } = found.description() {
            ControlValueSetter::Integer(setting.value.clamp(*min, (*max).max(*min)))
        } else {
            ControlValueSetter::Integer(setting.value)
        };
        if let Err(error) = camera.set_camera_control(control, value) {
            match setting.key {
                Some(key) => {
                    tracing::warn!(device, key, error = %error, "the camera refuses a setting")
                }
                None => tracing::debug!(device, error = %error, "the camera refuses a setting"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{ControlValue, ExposureTime};

    fn plain() -> tree::Camera {
        toml::from_str(r#"device = "/dev/video0""#).unwrap()
    }

    fn value(all: &[Setting], id: u128) -> Option<i64> {
        all.iter().find(|one| one.id == id).map(|one| one.value)
    }

    #[test]
    fn a_camera_left_to_itself_keeps_its_rate_and_nothing_else_is_touched() {
        let all = wanted(&plain());
        assert_eq!(value(&all, EXPOSURE_AUTO_PRIORITY), Some(0));
        assert_eq!(value(&all, EXPOSURE_AUTO), Some(EXPOSURE_APERTURE_PRIORITY));
        assert!(all.iter().all(|one| one.key.is_none()) && all.len() == 2);
    }

    #[test]
    fn what_the_config_says_is_set_by_hand_first() {
        let settings = tree::Camera {
            exposure: Some(ExposureTime::try_from(3_950).unwrap()),
            gain: Some(ControlValue::try_from(40).unwrap()),
            focus: Some(ControlValue::try_from(120).unwrap()),
            mains: Some(crate::config::readers::Mains::Hz50),
            ..plain()
        };
        let all = wanted(&settings);
        assert_eq!(value(&all, EXPOSURE_ABSOLUTE), Some(40));
        assert_eq!(value(&all, GAIN), Some(40));
        assert_eq!(value(&all, FOCUS_ABSOLUTE), Some(120));
        assert_eq!(value(&all, POWER_LINE_FREQUENCY), Some(1));
        let place = |id| all.iter().position(|one| one.id == id).unwrap();
        assert!(place(EXPOSURE_AUTO) < place(EXPOSURE_ABSOLUTE));
        assert!(place(FOCUS_AUTO) < place(FOCUS_ABSOLUTE));
        assert!(place(GAIN_AUTO) < place(GAIN));
    }
}
