//! P12: different names are different locks, on every store.

use std::collections::HashSet;

use distlock_core::{Guard, Locks, Name};

use crate::case::Case;
use crate::context::Context;
use crate::failure::Outcome;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::of(names_that_look_alike_are_different_locks),
        Case::of(long_names_are_told_apart_to_the_last_byte),
        Case::of(random_names_are_different_locks),
        Case::of(namespaces_are_separate),
        Case::of(one_name_is_one_lock_to_all),
    ]
}

/// Names that a store could mix up: by case, by normal form, by width or what can be seen of them,
/// by separators and wildcards, by what its key or query language or an encoding makes of them.
const ALIKE: &[&str] = &[
    "a",
    "A",
    " a",
    "a ",
    "  a",
    "a.",
    ".a",
    ".",
    "..",
    "...",
    "/",
    "//",
    "a/",
    "/a",
    "a/b",
    "a//b",
    "a/./b",
    "a/b/",
    "a/../b",
    "a%2Fb",
    "a%2fb",
    "a%252Fb",
    "%",
    "%%",
    "%00",
    "a+b",
    "a b",
    "a\\b",
    "a:b",
    "a::b",
    "a-b",
    "a_b",
    "a,b",
    "a;b",
    "a|b",
    "a=b",
    "{}",
    "{a}",
    "{a}b",
    "a{b}",
    "*",
    "**",
    "a*",
    "?",
    "a?",
    "[a]",
    "[!a]",
    "^a$",
    "#",
    "#a",
    "~",
    "~a",
    "$a",
    "&",
    "!",
    "@a",
    "`a`",
    "'",
    "''",
    "\"",
    "\"a\"",
    "a'b",
    "a''b",
    "'; DROP TABLE locks; --",
    "' OR '1'='1",
    "NULL",
    "null",
    "true",
    "0",
    "00",
    "1",
    "-1",
    "1e0",
    "é",
    "e\u{301}",
    "É",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "ẞ",
    "İ",
    "ı",
    "i",
    "I",
    "K",
    "\u{212a}",
    "Å",
    "\u{212b}",
    "ά",
    "\u{1f71}",
    "🔒",
    "🔒🔒",
    "🔓",
    "👩‍👩‍👧",
    "👩👩👧",
    "日本",
    "本日",
    "\u{200b}a",
    "a\u{200b}",
    "\u{feff}a",
    "\u{a0}a",
    "\u{202e}a",
    "\u{10ffff}",
    "lock",
    "locks",
    "lock:a",
    "lock/a",
    "_",
    "__",
    "default",
    "queue",
    "index",
    "con",
    "NUL",
    "a.lock",
    "a.json",
    "a.tmp",
    " ",
    "\u{a0}",
    "\u{3000}",
    "a\u{3000}",
    "a\u{2028}b",
    "a\u{2029}b",
    "a\u{200e}b",
    "a\u{200f}b",
    "a\u{2066}b",
    "a\u{ad}b",
    "a\u{2060}b",
    "a\u{34f}b",
    "ab",
    "ａ",
    "ａb",
    "а",
    "α",
    "a\u{323}\u{307}",
    "a\u{307}\u{323}",
    "ạ\u{307}",
    "ȧ\u{323}",
    "i\u{307}",
    "가",
    "\u{1100}\u{1161}",
    "Ω",
    "\u{2126}",
    "²",
    "2",
    "①",
    "ſ",
    "s",
    "ς",
    "σ",
    "Σ",
    "ǆ",
    "Ǆ",
    "ǅ",
    "👍",
    "👍🏽",
    "🏳️‍🌈",
    "🏳🌈",
    "☎",
    "☎\u{fe0f}",
    "☎\u{fe0e}",
    "🇩🇪",
    "🇪🇩",
    "\u{e0041}",
    "\u{e000}",
    "\u{f8ff}",
    "\u{fdd0}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{1fffe}",
    "\u{fffd}",
    "\u{fffd}\u{fffd}",
    "שלום",
    "مرحبا",
    "กำ",
    "กํา",
    "%2e",
    "%2E",
    "%2e%2e",
    "%2e%2e%2f",
    "../a",
    "..\\a",
    "%c3%a9",
    "%C3%A9",
    "%F0%9F%94%92",
    "%0a",
    "%0A",
    "%u0041",
    "%s",
    "%d%n",
    "%1$s",
    "&#65;",
    "&amp;",
    "\\0",
    "\\n",
    "\\u0041",
    "\\\\",
    "\\",
    "C:\\a",
    "//a/b",
    "file:a",
    "a\"b",
    "a\"\"b",
    "a`b",
    "a#b",
    "a$b",
    "${a}",
    "$(a)",
    "{{a}}",
    "a?b",
    "a??b",
    "a*b",
    "a_b_",
    "a%b",
    "a/*b*/",
    "a--b",
    "undefined",
    "NaN",
    "[]",
    "[object Object]",
    "-",
    "+",
    "-0",
    "0x1",
    "٠",
];

/// Holds all of these names at once, one client for all and another to look: each is a lock of its
/// own, with a token of its own, and is taken.
async fn hold_all(cx: &Context, names: &[String]) -> Outcome {
    let [one, other] = cx.clients().await?;
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(
        distinct.len(),
        names.len(),
        "the case itself has a name twice"
    );
    let mut guards: Vec<Guard> = Vec::new();
    for name in names {
        match one.lock(name).try_acquire().await? {
            Some(guard) => guards.push(guard),
            None => panic!("{name:?} is taken for one of the names before it: {names:?}"),
        }
    }
    for (name, guard) in names.iter().zip(&guards) {
        assert_eq!(guard.name().as_str(), name);
        cx.only_holder(name, guard.token()).await?;
        assert!(
            other.lock(name).try_acquire().await?.is_none(),
            "{name:?} is held and can be had"
        );
    }
    // Giving one back gives back no other.
    for (released, (name, guard)) in names.iter().zip(guards).enumerate() {
        guard.release().await?;
        assert!(
            cx.state(name).await?.is_free(),
            "{name:?} is released and held"
        );
        if let Some(next) = names.get(released + 1) {
            assert!(
                !cx.state(next).await?.is_free(),
                "{next:?} went with {name:?}"
            );
        }
    }
    Ok(())
}

/// More than two hundred names, pairwise different, all held at once.
async fn names_that_look_alike_are_different_locks(cx: Context) -> Outcome {
    let names: Vec<_> = ALIKE.iter().map(|&name| name.to_owned()).collect();
    hold_all(&cx, &names).await
}

/// Names as long as they may be, of one-byte and of four-byte characters, that differ in their last
/// character or length.
async fn long_names_are_told_apart_to_the_last_byte(cx: Context) -> Outcome {
    let start = format!("{}/{:0500}", cx.name(), 0);
    let ascii = &start[..Name::MAX_BYTES - 1];
    let emoji = "🔒".repeat(Name::MAX_BYTES / 4 - 1);
    let names = [
        format!("{ascii}a"),
        format!("{ascii}b"),
        format!("{ascii}/"),
        ascii.to_owned(),
        ascii[1..].to_owned(),
        format!("{emoji}🔒"),
        format!("{emoji}🔓"),
        emoji.clone(),
        "%".repeat(Name::MAX_BYTES),
        "%25".repeat(Name::MAX_BYTES / 3),
    ];
    hold_all(&cx, &names).await
}

/// Short names of the characters that mean something somewhere, so that many share beginnings and
/// ends.
async fn random_names_are_different_locks(cx: Context) -> Outcome {
    const ALPHABET: &[char] = &[
        'a', 'A', '/', '%', '2', 'F', '.', ' ', '-', '_', '*', '{', '}', ':', '\'', '"', '\\',
        '🔒', 'é', '\u{301}',
    ];
    let prefix = cx.name();
    let mut names = HashSet::new();
    while names.len() < 120 {
        let length = fastrand::usize(1..=4);
        let tail: String = (0..length)
            .map(|_| ALPHABET[fastrand::usize(..ALPHABET.len())])
            .collect();
        names.insert(format!("{prefix}{tail}"));
    }
    hold_all(&cx, &names.into_iter().collect::<Vec<_>>()).await
}

/// The same names in other namespaces are other locks, also where namespace and name together read
/// the same.
async fn namespaces_are_separate(cx: Context) -> Outcome {
    let mut guards = Vec::new();
    for (namespace, name) in [
        ("a", "b/c"),
        ("a/b", "c"),
        ("a/b/c", "x"),
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "b%2Fc"),
        ("a%2Fb", "c"),
        ("A", "b/c"),
        ("*", "b/c"),
        ("{a}", "b/c"),
        ("a b", "c"),
        ("🔒", "c"),
        ("", "c"),
    ] {
        let namespace = format!("{}{namespace}", cx.namespace());
        let locks = Locks::builder()
            .namespace(&namespace)
            .ttl(cx.calm())
            .build(cx.backend().await?)?;
        let guard = locks.lock(name).try_acquire().await?;
        let guard = guard
            .unwrap_or_else(|| panic!("{name:?} in namespace {namespace:?} is taken for another"));
        assert_eq!(
            (guard.name().namespace(), guard.name().as_str()),
            (&*namespace, name)
        );
        guards.push(guard);
    }
    for guard in guards {
        guard.release().await?;
    }
    Ok(())
}

/// And the same name is the same lock, to every client, however odd it is.
async fn one_name_is_one_lock_to_all(cx: Context) -> Outcome {
    let [one, other] = cx.clients().await?;
    let prefix = cx.name();
    for odd in ["", " ", "/", "%", "e\u{301}", "🔒", "'", "\\", "{}", "."] {
        let name = format!("{prefix}{odd}");
        let guard = one.lock(&name).acquire().await?;
        assert!(
            other.lock(name.clone()).try_acquire().await?.is_none(),
            "{name:?} is held and can be had"
        );
        guard.release().await?;
        assert!(
            other.lock(&name).try_acquire().await?.is_some(),
            "{name:?} is free and cannot be had"
        );
    }
    Ok(())
}
