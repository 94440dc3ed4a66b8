//! A V4L2 camera, through `nokhwa`.
//!
//! Luma comes straight from the raw buffer of YUYV, NV12 or GREY; MJPEG is decoded only if the camera offers nothing
//! else. Taking a frame blocks for ever when the camera stops: the thread it happens on is watched by
//! [`super::capture`].

use std::path::Path;

use image::ImageFormat;
use nokhwa::Camera;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};

use super::picture::decode;
use super::{CameraError, FrameSource, Shape};
use crate::config::tree;
use crate::vision::Luma;

/// What is taken, best first.
const WANTED: [FrameFormat; 4] = [
    FrameFormat::GRAY,
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::MJPEG,
];
/// A buffer may be longer than its frame by less than this, because it ends with a page.
const PAGE: usize = 4_096;
/// Drivers that pad their rows pad them to a multiple of this.
const ROW_ALIGN: usize = 32;

/// An open camera that streams.
pub struct V4lSource {
    camera: Camera,
    format: CameraFormat,
}

impl V4lSource {
    /// Opens the camera in the format nearest to the wanted one, and starts it.
    ///
    /// # Errors
    /// [`CameraError::Open`] or [`CameraError::NoFormat`].
    pub fn open(settings: &tree::Camera) -> Result<Self, CameraError> {
        let device = settings.device.display().to_string();
        let failed = |error: nokhwa::NokhwaError| CameraError::Open {
            device: device.clone(),
            reason: error.to_string(),
        };
        let index = CameraIndex::Index(index_of(&settings.device)?);
        let any = RequestedFormat::with_formats(RequestedFormatType::None, &WANTED);
        let mut camera = Camera::new(index, any).map_err(failed)?;
        let offered = camera.compatible_camera_formats().map_err(failed)?;
        let format = nearest(&offered, settings).ok_or_else(|| CameraError::NoFormat {
            device: device.clone(),
        })?;
        let formats = [format.format()];
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &formats);
        camera.set_camera_requset(exact).map_err(failed)?;
        camera.open_stream().map_err(failed)?;
        tracing::info!(device, %format, "the camera streams");
        Ok(Self { camera, format })
    }
}

impl FrameSource for V4lSource {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
        let raw = self.camera.frame_raw().map_err(|error| CameraError::Lost {
            reason: error.to_string(),
        })?;
        let shape = Shape {
            width: self.format.width() as usize,
            height: self.format.height() as usize,
        };
        luma_of(self.format.format(), shape, &raw, out).map(Some)
    }
}

/// The number of `/dev/videoN`, where the path leads there in the end: `/dev/v4l/by-path/...` is a link.
fn index_of(device: &Path) -> Result<u32, CameraError> {
    let failed = |reason: String| CameraError::Open {
        device: device.display().to_string(),
        reason,
    };
    let node = device
        .canonicalize()
        .map_err(|error| failed(error.to_string()))?;
    node.file_name()
        .and_then(|name| name.to_str()?.strip_prefix("video")?.parse().ok())
        .ok_or_else(|| failed("this is not a video device, such as /dev/video0".into()))
}

/// Size before format before rate; MJPEG only if there is nothing else.
fn nearest(offered: &[CameraFormat], settings: &tree::Camera) -> Option<CameraFormat> {
    let [width, height] = settings.size;
    let rank = |format: &CameraFormat| {
        let kind = WANTED.iter().position(|&k| k == format.format());
        let size = format.width().abs_diff(width) + format.height().abs_diff(height);
        let rate = format.frame_rate().abs_diff(settings.fps.get());
        (
            format.format() == FrameFormat::MJPEG,
            size,
            rate,
            kind.unwrap_or(WANTED.len()),
        )
    };
    offered
        .iter()
        .filter(|format| WANTED.contains(&format.format()))
        .min_by_key(|format| rank(format))
        .copied()
}

/// Takes the luma out of a raw buffer.
fn luma_of(
    format: FrameFormat,
    shape: Shape,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<Shape, CameraError> {
    let Shape { width, height } = shape;
    match format {
        FrameFormat::GRAY => copy_plane(shape, raw, 1, out),
        // The plane of luma is two thirds of the buffer.
        FrameFormat::NV12 => {
            let plane = raw.get(..raw.len() / 3 * 2).unwrap_or(raw);
            copy_plane(shape, plane, 1, out)
        }
        FrameFormat::YUYV => copy_plane(shape, raw, 2, out),
        FrameFormat::MJPEG => {
            let image =
                decode(raw, Some(ImageFormat::Jpeg)).map_err(|error| CameraError::Damaged {
                    reason: error.to_string(),
                })?;
            let shape = Shape {
                width: image.width(),
                height: image.height(),
            };
            *out = image.into_pixels();
            Ok(shape)
        }
        FrameFormat::RAWRGB | FrameFormat::RAWBGR => Err(CameraError::Damaged {
            reason: format!("{width} x {height} {format}: not a format that was asked for"),
        }),
    }
}

/// Every `step`-th byte of each row.
fn copy_plane(
    shape: Shape,
    plane: &[u8],
    step: usize,
    out: &mut Vec<u8>,
) -> Result<Shape, CameraError> {
    let row = shape.width * step;
    let stride = row_distance(plane.len(), row, shape.height);
    let luma = Luma::with_stride(row, shape.height, stride, plane)?;
    out.clear();
    for line in luma.rows() {
        out.extend(line.iter().step_by(step));
    }
    Ok(shape)
}

/// `nokhwa` does not tell the distance of two rows; the length of the buffer does.
fn row_distance(length: usize, row: usize, height: usize) -> usize {
    if length < row.saturating_mul(height).saturating_add(PAGE) {
        return row;
    }
    let padded = length / height.max(1) / ROW_ALIGN * ROW_ALIGN;
    padded.max(row)
}

#[cfg(test)]
mod tests {
    use nokhwa::utils::Resolution;

    use super::*;

    const SHAPE: Shape = Shape {
        width: 2,
        height: 2,
    };

    fn settings() -> tree::Camera {
        tree::Camera {
            device: "/dev/video0".into(),
            size: [640, 480],
            fps: crate::config::types::FrameRate::default(),
        }
    }

    fn format(width: u32, height: u32, kind: FrameFormat, rate: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), kind, rate)
    }

    #[test]
    fn luma_is_every_second_byte_of_yuyv() {
        let mut out = Vec::new();
        let raw = [10, 0, 20, 0, 30, 0, 40, 0];
        luma_of(FrameFormat::YUYV, SHAPE, &raw, &mut out).unwrap();
        assert_eq!(out, [10, 20, 30, 40]);
    }

    #[test]
    fn luma_is_the_first_plane_of_nv12_and_all_of_grey() {
        let mut out = Vec::new();
        luma_of(FrameFormat::NV12, SHAPE, &[1, 2, 3, 4, 9, 9], &mut out).unwrap();
        assert_eq!(out, [1, 2, 3, 4]);
        luma_of(FrameFormat::GRAY, SHAPE, &[5, 6, 7, 8], &mut out).unwrap();
        assert_eq!(out, [5, 6, 7, 8]);
    }

    #[test]
    fn a_short_buffer_is_a_damaged_frame() {
        let mut out = Vec::new();
        for kind in [FrameFormat::YUYV, FrameFormat::GRAY, FrameFormat::MJPEG] {
            assert!(matches!(
                luma_of(kind, SHAPE, &[1, 2, 3], &mut out),
                Err(CameraError::Damaged { .. })
            ));
        }
    }

    #[test]
    fn padded_rows_and_rounded_buffers_are_told_apart() {
        assert_eq!(row_distance(640 * 480 * 2, 1280, 480), 1280);
        assert_eq!(
            row_distance(962_560, 1600, 600),
            1600,
            "800 x 600 to a page"
        );
        assert_eq!(row_distance(1312 * 480, 1296, 480), 1312);
        assert_eq!(row_distance(630_784, 1296, 480), 1312, "padded and rounded");
    }

    #[test]
    fn the_nearest_format_wins_and_mjpeg_is_the_last_resort() {
        let yuyv = format(640, 480, FrameFormat::YUYV, 30);
        let offered = [
            format(640, 480, FrameFormat::MJPEG, 30),
            format(1280, 720, FrameFormat::YUYV, 10),
            format(640, 480, FrameFormat::YUYV, 15),
            yuyv,
            format(640, 480, FrameFormat::RAWRGB, 30),
        ];
        assert_eq!(nearest(&offered, &settings()), Some(yuyv));
        assert_eq!(nearest(&offered[..1], &settings()), Some(offered[0]));
        assert_eq!(nearest(&offered[4..], &settings()), None);
    }

    #[test]
    fn a_camera_that_is_not_there_is_said_so() {
        let gone = tree::Camera {
            device: "/dev/video-gone".into(),
            ..settings()
        };
        let error = V4lSource::open(&gone).err().unwrap().to_string();
        assert!(error.contains("/dev/video-gone"), "{error}");
        assert!(index_of(Path::new("/dev/null")).is_err());
    }
}
