//! What becomes of good, bad and hostile pictures.

use super::*;
use flate2::{Compression, write::ZlibEncoder};
use image::{Rgba, RgbaImage};
use std::io::Write as _;

const ID: ConcertId = ConcertId::new(1);

/// A picture whose left half is red and whose right half is blue.
fn halves(width: u32, height: u32) -> DynamicImage {
    let colour = |x: u32, _| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG with a block of EXIF data that says how it is to be turned.
fn turned(orientation: u8) -> Vec<u8> {
    let jpeg = written(&halves(40, 20), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.push(orientation);
    exif.extend(b"\0\0\0\0\0\0SECRET-PLACE");
    let len = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &len, &exif, &jpeg[2..]].concat()
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(data);
    let len = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&len[..], &kind, data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG of this size in grey, with these bytes as its compressed rows.
fn png(width: u32, height: u32, others: &[u8], rows: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let parts = [chunk(*b"IHDR", &header), others.to_vec(), chunk(*b"IDAT", rows), chunk(*b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

/// So many zeros, compressed.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mebibytes {
        packed.write_all(&vec![0; 1_024 * 1_024]).unwrap();
    }
    packed.finish().unwrap()
}

fn pixels(poster: &Poster) -> RgbImage {
    image::load_from_memory_with_format(&poster.jpeg, ImageFormat::Jpeg).unwrap().into_rgb8()
}

#[test]
fn a_poster_is_a_jpeg_of_1200_pixels_at_most() {
    for (format, name) in [
        (PictureFormat::Png, ImageFormat::Png),
        (PictureFormat::Jpeg, ImageFormat::Jpeg),
        (PictureFormat::WebP, ImageFormat::WebP),
    ] {
        for ((width, height), expected) in
            [((300, 400), (300, 400)), ((1_600, 1_200), (1_200, 900)), ((20, 2_500), (10, 1_200))]
        {
            let made = poster(ID, format, &written(&halves(width, height), name)).unwrap();
            assert_eq!((made.mark.width, made.mark.height), expected, "{name:?}");
            let pixels = pixels(&made);
            assert_eq!(pixels.dimensions(), (expected.0.unsigned_abs(), expected.1.unsigned_abs()));
            let ([red, ..], [.., blue]) = (pixels.get_pixel(1, 5).0, pixels.get_pixel(pixels.width() - 2, 5).0);
            assert!(red > 180 && blue > 180, "{name:?}");
        }
    }
}

#[test]
fn the_same_picture_has_the_same_tag() {
    let tag = |width| poster(ID, PictureFormat::Png, &written(&halves(width, 20), ImageFormat::Png)).unwrap().mark.tag;
    assert_eq!(tag(40), tag(40));
    assert_ne!(tag(40), tag(42));
}

#[test]
fn a_photo_is_turned_as_it_says_and_loses_what_it_tells_of_itself() {
    let straight = poster(ID, PictureFormat::Jpeg, &turned(1)).unwrap();
    assert_eq!((straight.mark.width, straight.mark.height), (40, 20));
    let turned = poster(ID, PictureFormat::Jpeg, &turned(6)).unwrap();
    assert_eq!((turned.mark.width, turned.mark.height), (20, 40));
    let [red, _, blue] = pixels(&turned).get_pixel(10, 4).0;
    assert!(red > blue, "the left side is on top");
    for text in [&b"Exif"[..], b"SECRET"] {
        assert!(!turned.jpeg.windows(text.len()).any(|part| part == text));
    }
}

#[test]
fn what_is_transparent_is_white() {
    let clear = RgbaImage::from_fn(40, 20, |x, _| if x < 20 { Rgba([0, 0, 0, 0]) } else { Rgba([0, 0, 0, 255]) });
    let made = poster(ID, PictureFormat::Png, &written(&DynamicImage::ImageRgba8(clear), ImageFormat::Png)).unwrap();
    let pixels = pixels(&made);
    assert!(pixels.get_pixel(4, 10).0.iter().all(|part| *part > 240));
    assert!(pixels.get_pixel(36, 10).0.iter().all(|part| *part < 15));
}

#[test]
fn what_is_no_picture_of_its_format_is_refused() {
    let good = written(&halves(40, 20), ImageFormat::Png);
    let damaged = [&good[..good.len() / 2], &[0; 40]].concat();
    for (format, bytes) in [
        (PictureFormat::Png, &b""[..]),
        (PictureFormat::Png, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        (PictureFormat::Jpeg, &good),
        (PictureFormat::WebP, &good),
        (PictureFormat::Png, &good[..20]),
        (PictureFormat::Png, &damaged),
        (PictureFormat::Jpeg, &[0xff, 0xd8, 0xff]),
        (PictureFormat::WebP, b"RIFF\x10\0\0\0WEBPVP8 "),
    ] {
        assert_eq!(poster(ID, format, bytes), Err(PictureError::Unreadable), "{format:?}");
    }
}

#[test]
fn a_size_that_is_too_large_is_refused_by_its_header() {
    let row = zeros(1);
    for (width, height) in [(65_535, 65_535), (16_385, 1), (1, 16_385), (4_097, 4_096), (u32::MAX / 2, 1)] {
        let said = poster(ID, PictureFormat::Png, &png(width, height, &[], &row));
        assert_eq!(said, Err(PictureError::TooManyPixels), "{width} by {height}");
    }
    let mut jpeg = written(&halves(40, 20), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(poster(ID, PictureFormat::Jpeg, &jpeg), Err(PictureError::TooManyPixels));
}

#[test]
fn compressed_bytes_that_become_many_are_not_kept() {
    // A quarter of a gigabyte behind the rows of a picture of one pixel: they are passed over.
    let bomb = zeros(256);
    assert!(bomb.len() < 1_024 * 1_024);
    let made = poster(ID, PictureFormat::Png, &png(1, 1, &[], &bomb)).unwrap();
    assert_eq!((made.mark.width, made.mark.height), (1, 1));
    // As a colour profile they are more than decoding may take.
    let profile = chunk(*b"iCCP", &[b"p\0\0", &bomb[..]].concat());
    let said = poster(ID, PictureFormat::Png, &png(1, 1, &profile, &zeros(1)));
    assert!(said.is_ok_and(|made| made.jpeg.len() < 2_000), "the profile is passed over");
}

#[test]
fn a_jpeg_of_many_scans_is_refused() {
    let jpeg = written(&halves(40, 20), ImageFormat::Jpeg);
    let bomb = [&jpeg[..], &[0xff, 0xda].repeat(SCANS_MAX)].concat();
    assert_eq!(poster(ID, PictureFormat::Jpeg, &bomb), Err(PictureError::TooComplex));
}

#[tokio::test]
async fn few_pictures_wait_and_others_are_told_to_come_again() {
    let pictures = Arc::new(Pictures::default());
    let held = Arc::clone(&pictures.turn).acquire_owned().await.unwrap();
    let bytes = written(&halves(40, 20), ImageFormat::Png);
    let ask = |_| {
        let (pictures, bytes) = (Arc::clone(&pictures), bytes.clone());
        tokio::spawn(async move { pictures.poster(ID, PictureFormat::Png, bytes).await })
    };
    let waiting: Vec<_> = (0..WAITING_MAX).map(ask).collect();
    while pictures.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(0).await.unwrap(), Err(PictureError::Overloaded));
    drop(held);
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
}
