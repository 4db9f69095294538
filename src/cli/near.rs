//! What somebody may have meant who mistyped a name.

/// How alike two words must be, of 1: what clap asks of flags and commands.
const ALIKE: f64 = 0.7;

/// The one of `names` that is most like `word`, if one is.
pub fn nearest<T: AsRef<str>>(word: &str, names: impl IntoIterator<Item = T>) -> Option<T> {
    let alike = |name: &T| strsim::jaro(word, name.as_ref());
    let names = names.into_iter().map(|name| (alike(&name), name));
    let near = names.filter(|(alike, _)| *alike > ALIKE);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_name_and_another_word_finds_none() {
        let names = ["frames", "frames-old", "logs", "temps"];
        for (typed, meant) in [
            ("frmaes", "frames"),
            ("frame", "frames"),
            ("frames-odl", "frames-old"),
            ("log", "logs"),
            ("Temps", "temps"),
        ] {
            assert_eq!(nearest(typed, names), Some(meant), "{typed}");
        }
        for typed in ["x", "page", "audio", ""] {
            assert_eq!(nearest(typed, names), None, "{typed}");
        }
        assert_eq!(nearest::<&str>("frames", []), None);
    }
}
