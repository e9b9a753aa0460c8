//! A contact sheet: small pictures in rows, each with lines of text under it.

use image::imageops;
use image::{Rgb, RgbImage};
use onemark_results::{LETTER, letters};

/// Width of a picture in px.
pub const WIDTH: u32 = 192;

/// Pictures in a row.
const COLUMNS: usize = 8;
/// Px between pictures, and between a picture and its text.
const GAP: u32 = 6;
/// Height of a line in px.
const LINE: u32 = 10;

const PAPER: Rgb<u8> = Rgb([24, 24, 24]);
const INK: Rgb<u8> = Rgb([235, 235, 235]);

/// A picture of [`WIDTH`] px and the lines under it, each cut to the picture's width.
pub struct Tile {
    pub picture: RgbImage,
    pub lines: Vec<String>,
}

/// Arranges the tiles in rows, in their order.
pub fn sheet(tiles: &[Tile]) -> RgbImage {
    let rows = tiles.chunks(COLUMNS);
    let height = |row: &[Tile]| row.iter().map(|tile| tile.picture.height()).max().unwrap_or_default();
    let text = |row: &[Tile]| row.iter().map(|tile| LINE * tile.lines.len() as u32).max().unwrap_or_default();
    let full_height: u32 = rows.clone().map(|row| height(row) + text(row) + 2 * GAP).sum();
    let columns = tiles.len().min(COLUMNS) as u32;
    let mut sheet = RgbImage::from_pixel(columns * (WIDTH + GAP) + GAP, full_height + GAP, PAPER);
    let mut top = GAP;
    for row in rows {
        let bottom = top + height(row);
        for (column, tile) in (0..).zip(row) {
            let left = GAP + column * (WIDTH + GAP);
            imageops::replace(&mut sheet, &tile.picture, left.into(), top.into());
            for (line, text) in (0..).zip(&tile.lines) {
                let text: String = text.chars().take((WIDTH / LETTER) as usize).collect();
                letters(&mut sheet, &text, (left.into(), (bottom + GAP + line * LINE).into()), 1, 0, INK);
            }
        }
        top = bottom + text(row) + 2 * GAP;
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_texts_have_their_places() {
        let tile = |grey: u8, height, lines: &[&str]| Tile {
            picture: RgbImage::from_pixel(WIDTH, height, Rgb([grey; 3])),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let mut tiles: Vec<Tile> = (0..8).map(|_| tile(100, 40, &[""])).collect();
        tiles.push(tile(200, 20, &["☃", "I am a very long line of text, ☃"]));
        let sheet = sheet(&tiles);
        assert_eq!(sheet.dimensions(), (8 * (192 + 6) + 6, (40 + 10 + 12) + (20 + 20 + 12) + 6));
        assert_eq!((sheet.get_pixel(6, 6).0, sheet.get_pixel(5, 6).0), ([100; 3], PAPER.0));
        let second_row = 6 + 40 + 10 + 12;
        assert_eq!(sheet.get_pixel(6, second_row).0, [200; 3]);
        let written = |x: std::ops::Range<u32>, top: u32| {
            x.flat_map(|x| (top..top + 8).map(move |y| (x, y))).filter(|(x, y)| *sheet.get_pixel(*x, *y) == INK).count()
        };
        let [first, second] = [second_row + 26, second_row + 36];
        assert!(written(6..14, first) > 5 && written(6..198, second) > 100);
        assert_eq!([written(14..1500, first), written(198..1500, second), written(6..1500, 6 + 40 + 6)], [0; 3]);
    }
}
