//! Fields as they are parsed: lists that are bounded meanwhile (items beyond the limit are dropped), and null apart from
//! a field that is left out.

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while items.len() < MAX {
            match seq.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            Some(_) => Err(A::Error::custom(format_args!("must have at most {MAX} items"))),
            None => Ok(items),
        }
    }
}

/// For a field that is a list of at most `MAX` items.
///
/// # Errors
/// There are more, or one of them cannot be read.
pub fn list<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
}

/// For a field that is such a list, or null.
///
/// # Errors
/// As [`list`].
pub fn optional_list<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Maybe<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Maybe<T, MAX> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} items")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            list::<MAX, D, T>(deserializer).map(Some)
        }
    }

    deserializer.deserialize_option(Maybe::<T, MAX>(PhantomData))
}

/// For a field in which null is a value of its own, apart from a field that is left out: `Some(None)`.
///
/// # Errors
/// The value cannot be read.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "optional_list::<3, _, _>")]
        ids: Option<Vec<u8>>,
    }

    #[test]
    fn a_list_has_as_many_items_as_it_may_and_no_more() {
        for (json, expected) in [
            (r#"{"ids":[1,2,3]}"#, Some(vec![1, 2, 3])),
            (r#"{"ids":[]}"#, Some(vec![])),
            (r#"{"ids":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(serde_json::from_str::<Body>(json).unwrap().ids, expected, "{json}");
        }
        let said = serde_json::from_str::<Body>(r#"{"ids":[1,2,3,"not even read as a number"]}"#).unwrap_err();
        assert!(said.to_string().contains("must have at most 3 items"), "{said}");
        assert!(serde_json::from_str::<Body>(r#"{"ids":7}"#).is_err());
    }
}
