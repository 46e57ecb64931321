//! Pictures from operators: checked, scaled and encoded anew, so that no metadata and no odd structure of the file is
//! passed on to buyers.
//!
//! The size in the header is checked before anything is decoded. One picture is decoded at a time, on a thread that may
//! block: with 16 million pixels of eight bytes it takes 128 MiB and a few smaller copies.

use frontrow_domain::{
    id::ConcertId,
    sale::{POSTER_LEN_MAX, POSTER_SIDE_MAX, Poster, PosterMark, PosterTag},
};
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};
use sha2::{Digest, Sha256};
use std::{io::Cursor, sync::Arc};
use tokio::sync::Semaphore;

/// How many bytes a picture may have as an operator sends it.
pub const PICTURE_LEN_MAX: usize = 5 * 1_024 * 1_024;
/// How many pixels it may have: those of a photo of 4,096 by 4,096.
const PIXELS_MAX: u64 = 4_096 * 4_096;
/// How many pixels one of its sides may have.
const SIDE_MAX: u32 = 16_384;
/// How many bytes decoding may take: eight for each pixel, and some for the decoder.
const DECODING_LEN_MAX: u64 = 8 * PIXELS_MAX + 16 * 1_024 * 1_024;
/// How many scans a JPEG may have: a progressive one has about ten. Each costs a pass over all pixels, and only a few
/// bytes of the file.
const SCANS_MAX: usize = 64;
/// How many pictures may wait for their turn.
const WAITING_MAX: usize = 4;
/// The qualities to try in turn until a poster is small enough, of 100.
const QUALITIES: [u8; 3] = [85, 65, 40];

/// The format that a picture is sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// `image/png`.
    Png,
    /// `image/jpeg`.
    Jpeg,
    /// `image/webp`.
    WebP,
}

impl PictureFormat {
    /// The format of a media type without parameters; none if it is another one.
    #[must_use]
    pub fn of_media_type(media_type: &[u8]) -> Option<Self> {
        let is = |other: &[u8]| media_type.eq_ignore_ascii_case(other);
        if is(b"image/png") {
            Some(Self::Png)
        } else if is(b"image/jpeg") {
            Some(Self::Jpeg)
        } else if is(b"image/webp") {
            Some(Self::WebP)
        } else {
            None
        }
    }

    /// The format that a picture begins as; none if it is another one.
    #[must_use]
    pub fn of_bytes(picture: &[u8]) -> Option<Self> {
        match image::guess_format(picture).ok()? {
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::WebP => Some(Self::WebP),
            _ => None,
        }
    }

    const fn of_crate(self) -> ImageFormat {
        match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::WebP => ImageFormat::WebP,
        }
    }
}

/// Why a picture is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The bytes are no picture of the format, or a damaged one.
    #[error("The body is not a whole picture of the format that Content-Type says.")]
    Unreadable,
    /// It has too many pixels.
    #[error("The picture has more than 16,777,216 pixels, or a side of more than 16,384.")]
    TooManyPixels,
    /// It is built so that decoding takes too much time or memory.
    #[error("The picture takes too much time or memory to decode.")]
    TooComplex,
    /// Other pictures are being decoded.
    #[error("too many pictures wait to be decoded")]
    Overloaded,
}

/// Decodes pictures, one at a time.
#[derive(Debug)]
pub(crate) struct Pictures {
    turn: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: Semaphore::new(WAITING_MAX) }
    }
}

impl Pictures {
    /// Makes a poster of a picture.
    ///
    /// # Errors
    /// It cannot be decoded within the bounds, or too many wait.
    pub(crate) async fn poster(
        &self,
        concert_id: ConcertId,
        format: PictureFormat,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Poster, PictureError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| PictureError::Overloaded)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| PictureError::Overloaded)?;
        // The permit moves into the work: a client that hangs up must not let another one decode beside it.
        let work = tokio::task::spawn_blocking(move || {
            let made = poster(concert_id, format, bytes.as_ref());
            drop(turn);
            made
        });
        work.await.map_err(|_| PictureError::Unreadable)?
    }
}

fn poster(concert_id: ConcertId, format: PictureFormat, bytes: &[u8]) -> Result<Poster, PictureError> {
    let picture = scaled(decoded(format, bytes)?);
    let jpeg = encoded(&picture)?;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let mark = PosterMark {
        tag: PosterTag::of(Sha256::digest(&jpeg).into()),
        width: side(picture.width()),
        height: side(picture.height()),
    };
    Ok(Poster { concert_id, mark, jpeg: jpeg.into() })
}

/// The picture as it is to be looked at: turned as its metadata says.
fn decoded(format: PictureFormat, bytes: &[u8]) -> Result<DynamicImage, PictureError> {
    if format == PictureFormat::Jpeg && scans(bytes) > SCANS_MAX {
        return Err(PictureError::TooComplex);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_crate());
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODING_LEN_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| reason(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(PictureError::Unreadable);
    }
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(PictureError::TooManyPixels);
    }
    if decoder.total_bytes() > DECODING_LEN_MAX {
        return Err(PictureError::TooComplex);
    }
    let orientation = decoder.orientation().map_err(|error| reason(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| reason(&error))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn reason(error: &image::ImageError) -> PictureError {
    match error {
        image::ImageError::Limits(limit) => match limit.kind() {
            image::error::LimitErrorKind::DimensionError => PictureError::TooManyPixels,
            _ => PictureError::TooComplex,
        },
        _ => PictureError::Unreadable,
    }
}

/// How often the marker of a scan stands in a JPEG. In the data of a scan a zero follows each 0xff.
fn scans(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|pair| *pair == [0xff, 0xda]).count()
}

/// Within the longest side of a poster, without transparency: on white, as on paper.
fn scaled(picture: DynamicImage) -> RgbImage {
    let side = POSTER_SIDE_MAX.unsigned_abs();
    let longest = picture.width().max(picture.height());
    // The exact filter takes 16 bytes for each pixel that it reads: a large picture is made smaller by plain averages
    // first.
    let picture = if longest > 2 * side { picture.thumbnail(2 * side, 2 * side) } else { picture };
    let picture = if longest > side { picture.resize(side, side, FilterType::CatmullRom) } else { picture };
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let on_white = |colour: u8| {
            let mixed = (u32::from(colour) * u32::from(alpha) + 255 * (255 - u32::from(alpha))) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Rgb([on_white(red), on_white(green), on_white(blue)])
    })
}

fn encoded(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    for quality in QUALITIES {
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
        picture.write_with_encoder(encoder).map_err(|_| PictureError::Unreadable)?;
        if jpeg.len() <= POSTER_LEN_MAX {
            return Ok(jpeg);
        }
    }
    Err(PictureError::TooComplex)
}

#[cfg(test)]
mod tests;
