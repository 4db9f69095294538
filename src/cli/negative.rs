//! `shm write temps -1 -inf`: values that begin as flags do.
//!
//! To clap, `-1` and `-inf` are flags, and it has no way to say "a value, if it
//! looks like a number" that also knows `-inf`, `-.5`, `-0x1f` or `"-1 2 3"`.
//! So, before clap sees them, the words of `write` that begin like a negative
//! number are marked: a NUL in front, which no argument of a process can
//! contain. They are no flags then; the parsers of values take the mark off
//! again, and so does what is printed ([`super::exit`]). No flag of `write`
//! begins as such a word does (a test sees to it), so nothing is taken from it.
//!
//! After `--` nothing needs a mark, and a marked word does no harm.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

const MARK: u8 = 0;

/// What a number may begin with, behind the minus.
const WORDS: [&[u8]; 2] = [b"inf", b"nan"];

/// Marks the negative numbers among the arguments of `shm write`.
pub fn mark(argv: Vec<OsString>) -> Vec<OsString> {
    if argv.get(1).is_none_or(|command| command != "write") {
        return argv;
    }
    let mark = |word: OsString| match is_negative(word.as_bytes()) {
        true => OsString::from_vec([&[MARK], word.as_bytes()].concat()),
        false => word,
    };
    argv.into_iter().map(mark).collect()
}

fn is_negative(word: &[u8]) -> bool {
    let Some(rest) = word.strip_prefix(b"-") else {
        return false;
    };
    rest.first()
        .is_some_and(|first| first.is_ascii_digit() || *first == b'.')
        || WORDS.iter().any(|word| {
            rest.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        })
}

/// The word as it was typed.
pub fn unmark(word: OsString) -> OsString {
    match word.as_bytes().strip_prefix(&[MARK]) {
        Some(typed) => OsStr::from_bytes(typed).to_owned(),
        None => word,
    }
}

/// The text as it was typed, or an error about it as it should read.
pub fn unmarked(text: &str) -> String {
    text.replace(char::from(MARK), "")
}

#[cfg(test)]
mod tests {
    use super::super::args::{Cli, Command};
    use super::*;
    use clap::{CommandFactory, Parser};

    fn inputs(words: &[&str]) -> Vec<OsString> {
        let argv = ["shm", "write"].iter().chain(words).map(OsString::from);
        match Cli::try_parse_from(mark(argv.collect())).unwrap().command {
            Command::Write(args) => args.inputs,
            _ => panic!("not write"),
        }
    }

    #[test]
    fn negative_numbers_are_values_wherever_they_stand() {
        for word in [
            "-1",
            "-1e5",
            "-.5",
            "-0x1f",
            "-inf",
            "-Infinity",
            "-nan",
            "-NaN",
            "-1 2 3",
            "-",
        ] {
            assert_eq!(inputs(&["a", word]), [word]);
            assert_eq!(inputs(&["a", word, "--at", "3", "7"]), [word, "7"]);
            assert_eq!(inputs(&["-q", "a", "7", word, "--json"]), ["7", word]);
            assert_eq!(inputs(&["a", "--", word, "--at"]), [word, "--at"]);
        }
    }

    #[test]
    fn flags_stay_flags() {
        for word in ["-x", "-in", "-i", "--1", "-e5"] {
            let argv = ["shm", "write", "a", word].map(OsString::from).to_vec();
            assert!(Cli::try_parse_from(mark(argv)).is_err(), "{word}");
        }
    }

    #[test]
    fn no_flag_of_write_looks_like_a_number() {
        let root = Cli::command();
        let write = root.find_subcommand("write").unwrap();
        for short in write.get_arguments().filter_map(clap::Arg::get_short) {
            assert!(
                !short.is_ascii_digit() && !".in".contains(short),
                "-{short}"
            );
        }
    }
}
