//! Any text as a name, any duration as a TTL: taken as it is or refused, and never a panic.

use std::time::Duration;

use distlock_core::{Capabilities, ErrorKind, Name, Ttl};
use proptest::prelude::*;

/// Text of which much is allowed, with the edges of what is.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::char::ranges(vec!['\0'..=' ', '~'..='\u{a0}', '\u{d7f0}'..='\u{e010}'].into());
    let character = prop_oneof![3 => any::<char>(), 1 => odd];
    prop_oneof![
        prop::collection::vec(character.clone(), 0..40),
        // About as long as a name may be: its characters have one to four bytes.
        (character, 100_usize..600).prop_map(|(character, times)| vec![character; times]),
    ]
    .prop_map(String::from_iter)
}

fn is_allowed(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && !text
            .chars()
            .any(|c| c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c))
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0_u64..3_000_000_000).prop_map(Duration::from_nanos),
        (3500_u64..3700).prop_map(Duration::from_secs),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_taken_as_it_is_or_refused(namespace in text(), name in text()) {
        let allowed = is_allowed(&namespace, Name::MAX_NAMESPACE_BYTES)
            && is_allowed(&name, Name::MAX_BYTES);
        match Name::in_namespace(&namespace, &name) {
            Ok(taken) => {
                prop_assert!(allowed, "{taken:?}");
                prop_assert_eq!((taken.namespace(), taken.as_str()), (&*namespace, &*name));
                prop_assert_eq!(&Name::in_namespace(taken.namespace(), &taken).unwrap(), &taken);
                prop_assert_eq!(taken.to_string(), format!("{namespace}:{name}"));
            }
            Err(error) => {
                prop_assert!(!allowed, "{error}");
                prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let told = error.to_string();
                prop_assert!(told.contains("bytes of UTF-8 without control characters"), "{told}");
                prop_assert!(!told.contains(char::is_control), "{told:?}");
            }
        }
    }

    #[test]
    fn different_names_differ(one in text(), other in text()) {
        if let (Ok(a), Ok(b)) = (Name::new(&one), Name::new(&other)) {
            prop_assert_eq!(a == b, one == other);
        }
    }

    #[test]
    fn a_ttl_is_in_the_range_or_refused(ttl in durations()) {
        const STEP: Duration = Duration::from_millis(1);
        let range = Duration::from_millis(500)..=Duration::from_secs(3600);
        match Ttl::new(ttl, &Capabilities::new("test", range.clone())) {
            Ok(taken) => {
                prop_assert!(range.contains(&ttl));
                prop_assert!(taken.get() <= ttl && ttl - taken.get() < STEP, "{taken:?}");
            }
            Err(error) => {
                prop_assert!(!range.contains(&ttl));
                prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
                prop_assert!(error.to_string().contains("500ms to 3600s"), "{error}");
            }
        }
    }
}
