//! A V4L2 camera, through `nokhwa`.
//!
//! Luma comes straight from the raw buffer of YUYV, NV12 or GREY; MJPEG is decoded only if the camera offers nothing
//! else. Taking a frame blocks for ever when the camera stops: the thread it happens on is watched by
//! [`super::capture`].

use std::path::Path;

use nokhwa::Camera;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::controls;
use super::framing::framed;
use super::{CameraError, FrameSource, Shape};
use crate::config::readers::{Region, Rotation};
use crate::config::tree;
use crate::vision::Luma;
use crate::vision::contain::contain;
use crate::vision::frame::SIDE_MAX;

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
    region: Region,
    rotation: Rotation,
    /// The whole picture, where only a part of it is wanted or it is turned.
    whole: Vec<u8>,
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
        controls::apply(&mut camera, settings, &device);
        camera.open_stream().map_err(failed)?;
        tracing::info!(device, %format, "the camera streams");
        Ok(Self {
            camera,
            format,
            region: settings.region,
            rotation: settings.rotation,
            whole: Vec::new(),
        })
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
        let format = self.format.format();
        if self.region == Region::default() && self.rotation == Rotation::None {
            return luma_of(format, shape, &raw, out).map(Some);
        }
        let shape = luma_of(format, shape, &raw, &mut self.whole)?;
        let (region, rotation) = (self.region, self.rotation);
        Ok(Some(framed(shape, &self.whole, region, rotation, out)?))
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
        FrameFormat::MJPEG => jpeg_luma(raw, shape, out),
        FrameFormat::RAWRGB | FrameFormat::RAWBGR => Err(CameraError::Damaged {
            reason: format!("{width} x {height} {format}: not a format that was asked for"),
        }),
    }
}

/// The luma of a JPEG picture; its colours are not decoded.
fn jpeg_luma(raw: &[u8], shape: Shape, out: &mut Vec<u8>) -> Result<Shape, CameraError> {
    let damaged = |reason: String| CameraError::Damaged { reason };
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::Luma)
        .set_max_width(SIDE_MAX)
        .set_max_height(SIDE_MAX);
    let decoded = contain(|| {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(raw), options);
        decoder.decode_headers()?;
        // A camera that sends another size than it was asked for is taken as it is.
        let size = decoder.info().map(|info| Shape {
            width: info.width.into(),
            height: info.height.into(),
        });
        out.clear();
        out.resize(decoder.output_buffer_size().unwrap_or(0), 0);
        decoder.decode_into(out)?;
        Ok(size.unwrap_or(shape))
    });
    let decoded: Result<Shape, DecodeErrors> =
        decoded.map_err(|_| damaged("it made the decoder of pictures stop".into()))?;
    let shape = decoded.map_err(|error| damaged(error.to_string()))?;
    Luma::new(shape.width, shape.height, out)?;
    Ok(shape)
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
        toml::from_str(r#"device = "/dev/video0""#).unwrap()
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
    fn luma_of_a_jpeg_is_that_of_its_picture_in_its_own_size() {
        let picture = image::RgbImage::from_fn(32, 16, |x, _| {
            image::Rgb([if x < 16 { 20 } else { 220 }; 3])
        });
        let mut jpeg = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut jpeg, image::ImageFormat::Jpeg)
            .unwrap();
        let (jpeg, mut out) = (jpeg.into_inner(), Vec::new());
        let shape = luma_of(FrameFormat::MJPEG, SHAPE, &jpeg, &mut out).unwrap();
        assert_eq!((shape.width, shape.height, out.len()), (32, 16, 512));
        assert!(out[0].abs_diff(20) < 6 && out[31].abs_diff(220) < 6);
        for cut in [0, 3, 100] {
            let cut = jpeg.get(..cut).unwrap();
            assert!(luma_of(FrameFormat::MJPEG, SHAPE, cut, &mut out).is_err());
        }
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
