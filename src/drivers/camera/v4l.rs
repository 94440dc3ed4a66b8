//! V4L2 cameras through nokhwa. Luma comes straight out of the raw buffer; JPEG is decoded only where a camera offers
//! nothing else.

use std::path::Path;

use nokhwa::Camera;
use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};

use super::pixels::{self, Packing};
use super::{CameraError, FrameSource};
use crate::config::tree;
use crate::vision::Luma;

/// Formats in the order they are asked for, with how each holds its luma.
const FORMATS: [(FrameFormat, Packing); 4] = [
    (FrameFormat::YUYV, Packing::EverySecondByte),
    (FrameFormat::NV12, Packing::Plane),
    (FrameFormat::GRAY, Packing::Plane),
    (FrameFormat::MJPEG, Packing::Jpeg),
];

struct V4l {
    camera: Camera,
    packing: Packing,
}

/// Opens a camera and starts its stream. Blocks for as long as the kernel's driver takes.
///
/// # Errors
/// [`CameraError::Open`] with what the camera said to the last format it was asked for.
pub fn open(settings: &tree::Camera) -> Result<Box<dyn FrameSource>, CameraError> {
    let failed = |why: String| CameraError::Open {
        device: settings.device.clone(),
        why,
    };
    let index = CameraIndex::Index(number(&settings.device).map_err(failed)?);
    let [width, height] = settings.size;
    let mut why = String::new();
    for (format, packing) in FORMATS {
        let wanted = CameraFormat::new(Resolution::new(width, height), format, settings.fps.get());
        let formats = [format];
        let request = RequestedFormat::with_formats(RequestedFormatType::Closest(wanted), &formats);
        let opened = Camera::new(index.clone(), request).and_then(|mut camera| {
            camera.open_stream()?;
            Ok(camera)
        });
        match opened {
            Ok(camera) => return Ok(Box::new(V4l { camera, packing })),
            Err(error) => why = error.to_string(),
        }
    }
    Err(failed(why))
}

impl FrameSource for V4l {
    fn next(&mut self) -> Result<Option<Luma>, CameraError> {
        let frame = self
            .camera
            .frame()
            .map_err(|error| CameraError::Frame(error.to_string()))?;
        let (width, height) = (
            frame.resolution().width() as usize,
            frame.resolution().height() as usize,
        );
        match pixels::luma(self.packing, width, height, frame.buffer()) {
            Ok(luma) => Ok(Some(luma)),
            // A torn JPEG is one lost frame, not a lost camera; a camera that sends nothing else is dark to us.
            Err(_) if self.packing == Packing::Jpeg => Ok(None),
            Err(error) => Err(CameraError::Frame(error.to_string())),
        }
    }
}

/// The number of a video device: nokhwa opens by number. Stable names under `/dev` are links to one.
fn number(device: &Path) -> Result<u32, String> {
    let real = std::fs::canonicalize(device).map_err(|error| error.to_string())?;
    let name = real
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let number = name
        .strip_prefix("video")
        .and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{} is no video device", real.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_camera_is_one_clear_sentence() {
        let settings = tree::Camera {
            device: "/dev/no-such-camera".into(),
            size: [640, 480],
            fps: Default::default(),
        };
        let Err(error) = open(&settings) else {
            panic!("it cannot be there")
        };
        assert_eq!(
            error.to_string(),
            "cannot open /dev/no-such-camera: No such file or directory (os error 2)"
        );
    }
}
