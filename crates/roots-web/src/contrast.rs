//! The contrasts of the colours in the stylesheet, by the formula of WCAG 2.2 ("relative
//! luminance", "contrast ratio"). Text needs 7, as level AAA asks; what is told apart by its shape
//! needs 3.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../assets/app.css");

/// What text has as its ground.
const GROUNDS: [&str; 3] = ["--bg", "--surface", "--sunken"];
/// Colours of text on any of them.
const TEXTS: [&str; 6] = ["--text", "--muted", "--link", "--ok", "--warn", "--bad"];
/// Colours of text on a ground of their own. What has just changed fades from `--warn-bg`, with all
/// that stands on it. The last two are the primary button and the toast.
const TINTED: [(&str, &str); 8] = [
    ("--ok", "--ok-bg"),
    ("--warn", "--warn-bg"),
    ("--bad", "--bad-bg"),
    ("--text", "--warn-bg"),
    ("--muted", "--warn-bg"),
    ("--link", "--warn-bg"),
    ("--surface", "--link"),
    ("--bg", "--text"),
];
/// Edges of controls, levels of the heat map, bars and lines, on a card.
const SHAPES: [&str; 6] = ["--edge", "--h1", "--h2", "--h3", "--h4", "--bad"];

/// A colour in the light and in the dark theme.
type Colour = [[f64; 3]; 2];

/// The colours in `light-dark(#…, #…)`, in their order.
fn colours(source: &str) -> Vec<Colour> {
    let both = |text: &str| {
        let (light, rest) = text.split_once(',').unwrap();
        let (dark, _) = rest.split_once(')').unwrap();
        [rgb(light.trim()), rgb(dark.trim())]
    };
    source.split("light-dark(").skip(1).map(both).collect()
}

/// The colours of the tokens.
fn tokens() -> BTreeMap<&'static str, Colour> {
    let lines = STYLE.lines().map(str::trim).filter(|line| line.starts_with("--"));
    let named = lines.filter_map(|line| line.split_once(": "));
    named.filter_map(|(name, value)| Some((name, *colours(value).first()?))).collect()
}

fn rgb(hex: &str) -> [f64; 3] {
    let digits = hex.strip_prefix('#').unwrap();
    let digits = if digits.len() == 3 {
        digits.chars().flat_map(|digit| [digit, digit]).collect()
    } else {
        digits.to_owned()
    };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0)
}

fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] =
        colour.map(
            |part| {
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            },
        );
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The lesser contrast of both themes.
fn contrast(one: Colour, other: Colour) -> f64 {
    let in_theme = |theme: usize| {
        let (one, other) = (luminance(one[theme]), luminance(other[theme]));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    };
    in_theme(0).min(in_theme(1))
}

#[test]
fn the_formula_gives_the_contrasts_that_the_standard_names() {
    let [black, white, grey] = ["#000", "#ffffff", "#767676"].map(|hex| [rgb(hex); 2]);
    assert!((contrast(black, white) - 21.0).abs() < 1e-9);
    assert!((contrast(grey, white) - 4.54).abs() < 0.005);
}

#[test]
fn text_has_a_contrast_of_7_on_every_ground() {
    let tokens = tokens();
    let on_all = TEXTS.iter().flat_map(|text| GROUNDS.map(|ground| (*text, ground)));
    for (text, ground) in on_all.chain(TINTED) {
        let found = contrast(tokens[text], tokens[ground]);
        assert!(found >= 7.0, "{text} on {ground}: {found:.2}");
    }
}

#[test]
fn controls_heat_levels_and_bars_have_a_contrast_of_3() {
    let tokens = tokens();
    let surface = tokens["--surface"];
    for shape in SHAPES {
        let found = contrast(tokens[shape], surface);
        assert!(found >= 3.0, "{shape}: {found:.2}");
    }
    for ground in GROUNDS {
        let found = contrast(tokens["--edge"], tokens[ground]);
        assert!(found >= 3.0, "--edge on {ground}: {found:.2}");
    }
    // The colours of kinds are in rules of their own.
    let (_, charts) = STYLE.split_once("/* charts */").unwrap();
    for (index, kind) in colours(charts).into_iter().enumerate() {
        let found = contrast(kind, surface);
        assert!(found >= 3.0, "colour {index} of the charts: {found:.2}");
    }
}
