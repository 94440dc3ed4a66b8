//! Pictures that are not part of the project: the folder comes from the environment, and is skipped without it.

use std::path::{Path, PathBuf};

use super::contain::contain;
use super::{LumaImage, read};

fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TURNSTILED_SHARED");
    if folder.is_none() {
        eprintln!("SKIPPED: {path}: TURNSTILED_SHARED does not name the folder with the pictures");
    }
    folder.map(|folder| Path::new(&folder).join(path))
}

fn picture(path: &Path) -> LumaImage {
    let image = image::open(path).unwrap().into_luma8();
    LumaImage::new(
        image.width() as usize,
        image.height() as usize,
        image.into_raw(),
    )
    .unwrap()
}

/// These made `rqrr` panic. Whatever the stages make of them, nothing gets out.
#[test]
fn pictures_that_made_the_decoder_panic_are_contained() {
    let Some(photo) = shared("data/qr/zxing-java/qrcode-6/7.png") else {
        return;
    };
    let mut pictures = vec![photo];
    let folder = shared("data/qr/adversarial").unwrap();
    pictures.extend(
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    assert!(pictures.len() > 1);
    for path in pictures {
        let image = picture(&path);
        assert!(contain(|| read(image.as_luma())).is_ok(), "{path:?}");
    }
}

/// The decoder by itself, without the gates before it: it does panic there, and it is counted.
#[test]
fn a_panic_of_the_decoder_is_counted() {
    use super::bounded::{Budget, read_luma};
    let Some(photo) = shared("data/qr/zxing-java/qrcode-6/7.png") else {
        return;
    };
    let found = read_luma(picture(&photo).as_luma(), &Budget::new(1_000_000_000));
    assert_eq!(found.panics, 1);
}
