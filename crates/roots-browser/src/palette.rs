//! Pictures of at most 256 colours, for small files.

use std::collections::HashMap;
use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Transformations};

/// A palette holds so many colours.
const COLOURS: usize = 256;

type Colour = [u8; 3];

/// The same PNG with the colours that are most frequent in it, bright ones before greys; each other
/// becomes the nearest of them.
///
/// # Panics
///
/// Panics if it is no PNG in colour.
#[must_use]
pub fn reduced(picture: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Cursor::new(picture));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut bytes).expect("a picture");
    let samples = frame.color_type.samples();
    assert!(samples >= 3, "a picture in colour");
    let rows = bytes.chunks_exact(samples).filter_map(|pixel| pixel.first_chunk().copied());
    let pixels: Vec<Colour> = rows.collect();

    let mut counts = HashMap::<Colour, usize>::new();
    for pixel in &pixels {
        *counts.entry(*pixel).or_default() += 1;
    }
    let weighed = |(colour, count): (&Colour, &usize)| (count * weight(*colour), *colour);
    let mut palette: Vec<_> = counts.iter().map(weighed).collect();
    palette.sort_unstable_by(|one, other| other.cmp(one));
    palette.truncate(COLOURS);
    let nearest = |colour: &Colour| {
        let distance = |index: &usize| palette.get(*index).map(|(_, one)| apart(*one, *colour));
        let index = (0..palette.len()).min_by_key(distance).unwrap_or_default();
        u8::try_from(index).unwrap_or_default()
    };
    let indexes: HashMap<_, _> = counts.keys().map(|colour| (*colour, nearest(colour))).collect();
    let drawn: Vec<u8> = pixels.iter().filter_map(|pixel| indexes.get(pixel).copied()).collect();

    let mut result = Vec::new();
    let mut encoder = Encoder::new(&mut result, frame.width, frame.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    encoder.set_palette(palette.iter().flat_map(|(_, colour)| *colour).collect::<Vec<_>>());
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&drawn).expect("a picture");
    writer.finish().expect("an end");
    result
}

/// Bright colours are rare and say more than greys do.
fn weight([red, green, blue]: Colour) -> usize {
    usize::from(red.max(green).max(blue) - red.min(green).min(blue)) + 1
}

/// How far two colours are from each other.
fn apart(one: Colour, other: Colour) -> u32 {
    one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, pixels: &[Colour]) -> Vec<u8> {
        let mut result = Vec::new();
        let height = u32::try_from(pixels.len()).unwrap() / width;
        let mut encoder = Encoder::new(&mut result, width, height);
        encoder.set_color(ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels.as_flattened()).unwrap();
        writer.finish().unwrap();
        result
    }

    fn pixels(picture: &[u8]) -> Vec<Colour> {
        let mut decoder = Decoder::new(Cursor::new(picture));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().color_type, ColorType::Indexed);
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.as_chunks().0.to_vec()
    }

    #[test]
    fn a_picture_of_few_colours_stays_as_it_is() {
        let few = [[1, 2, 3], [250, 0, 7], [1, 2, 3], [0, 0, 0]];
        assert_eq!(pixels(&reduced(&png(2, &few))), few);
    }

    #[test]
    fn a_rare_colour_becomes_the_nearest_of_the_frequent_ones() {
        let frequent = (0..=255_u8).map(|red| [red, 255, 0]);
        let mut many: Vec<Colour> = frequent.clone().chain(frequent).collect();
        many.extend([[9, 254, 0], [200, 255, 5]]);
        let found = pixels(&reduced(&png(2, &many)));
        assert_eq!(found[..512], many[..512]);
        assert_eq!(found[512..], [[9, 255, 0], [200, 255, 0]]);
    }
}
