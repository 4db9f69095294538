//! A scale from 0 with round numbers on it.
//!
//! ```text
//!   highest figure 8,700, about 5 numbers
//!     rough step 1,740  ->  1, 2 or 5 times a power of ten, no smaller: 2,000
//!     top: the first multiple that reaches 8,700: 10,000
//!
//!   10,000 |-      8,000 |-      6,000 |-      4,000 |-      2,000 |-      0 |-
//! ```
//!
//! It begins at 0, since a bar says by its length how much it is; a scale that
//! begins elsewhere makes small differences look large. Whatever is highest fits on
//! it, and there are between two and seven numbers.
//!
//! A highest figure that is not positive and finite is one of an empty or broken
//! panel. It gets the scale from 0 to 1: a picture is always possible.

/// Where the numbers stand: every `step`, up to `top`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// The highest number of the scale, itself a whole multiple of `step`.
    pub top: f64,
    /// From one number to the next: 1, 2 or 5 times a power of ten.
    pub step: f64,
}

impl Scale {
    /// A scale that `highest` fits on, with about so many numbers above 0. What is
    /// not positive and finite gets a scale all the same: there is a picture.
    pub fn up_to(highest: f64, numbers: u32) -> Scale {
        let highest = match highest.is_finite() && highest > 0.0 {
            true => highest.clamp(1e-9, 1e15),
            false => 1.0,
        };
        let rough = highest / f64::from(numbers.max(1));
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        // The last is at least `rough`, so there always is one.
        let step = steps.into_iter().find(|step| *step >= 0.999 * rough);
        let step = step.unwrap_or(steps[3]);
        let top = step * (highest / step - 1e-6).ceil().max(1.0);
        Scale { top, step }
    }

    /// The numbers, from 0 to `top`.
    pub fn numbers(self) -> impl Iterator<Item = f64> {
        let last = (self.top / self.step).round() as u32;
        (0..=last).map(move |at| f64::from(at) * self.step)
    }

    /// A number of this scale in words: whole ones with commas, `12,000`.
    pub fn words(self, number: f64) -> String {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let text = format!("{number:.decimals$}");
        match text.contains('.') {
            true => text,
            false => with_commas(&text),
        }
    }
}

/// Groups of three digits.
pub(super) fn with_commas(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_numbers_are_round() {
        for (highest, step, top) in [
            (11_900.0, 5000.0, 15_000.0),
            (8_700.0, 2000.0, 10_000.0),
            (10_000.0, 2000.0, 10_000.0),
            (1.0, 0.2, 1.0),
            (0.37, 0.1, 0.4),
            (4.9, 1.0, 5.0),
        ] {
            let scale = Scale::up_to(highest, 5);
            assert!(
                (scale.step / step - 1.0).abs() < 1e-9,
                "{highest}: {scale:?}"
            );
            assert!((scale.top / top - 1.0).abs() < 1e-9, "{highest}: {scale:?}");
        }
    }

    #[test]
    fn a_scale_has_words_for_its_numbers() {
        let words = |highest| -> Vec<String> {
            let scale = Scale::up_to(highest, 5);
            scale.numbers().map(|number| scale.words(number)).collect()
        };
        assert_eq!(
            words(9_900.0),
            ["0", "2,000", "4,000", "6,000", "8,000", "10,000"]
        );
        assert_eq!(words(0.37), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(words(3.0), ["0", "1", "2", "3"]);
        assert_eq!(with_commas("1234567"), "1,234,567");
    }

    #[test]
    fn what_is_no_figure_has_a_scale_too() {
        for highest in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Scale::up_to(highest, 5).top, 1.0, "{highest}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_highest_fits_and_the_numbers_are_few(highest in 1e-6..1e12_f64) {
            let scale = Scale::up_to(highest, 5);
            prop_assert!(scale.top >= 0.999_99 * highest);
            prop_assert!(scale.top <= highest + scale.step * 1.001);
            prop_assert!((2..=7).contains(&scale.numbers().count()), "{scale:?}");
        }
    }
}
