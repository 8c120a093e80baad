use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Something of every shape that serde knows.
#[derive(Debug, Clone, serde::Serialize)]
enum Shape {
    Unit,
    Newtype(u32),
    Tuple(u64, i64, [i16; 2]),
    Struct { text: String, letter: char, map: BTreeMap<u16, Option<bool>> },
    Wide((i128, u128, f32, f64, i8, u8)),
    Nothing((), Nothing, One),
    Shown(Shown),
    Many(Vec<Shape>),
}

#[derive(Debug, Clone, serde::Serialize)]
struct Nothing;

#[derive(Debug, Clone, serde::Serialize)]
struct One(i32);

#[derive(Debug, Clone)]
struct Shown(i64);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Numbers of every length alike.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64).prop_map(|(bits, shift)| bits >> shift)
}

fn shape() -> impl Strategy<Value = Shape> {
    let map = prop::collection::btree_map(any::<u16>(), any::<Option<bool>>(), 0..5);
    let wide = (any::<i128>(), any::<u128>(), any::<f32>(), any::<f64>(), any::<i8>(), any::<u8>());
    let leaf = prop_oneof![
        Just(Shape::Unit),
        number().prop_map(|n| Shape::Newtype(n as u32)),
        (number(), number(), any::<[i16; 2]>()).prop_map(|(n, signed, pair)| Shape::Tuple(
            n,
            signed as i64,
            pair
        )),
        (".{0,40}", any::<char>(), map).prop_map(|(text, letter, map)| Shape::Struct {
            text,
            letter,
            map
        }),
        wide.prop_map(Shape::Wide),
        number().prop_map(|n| Shape::Nothing((), Nothing, One(n as i32))),
        number().prop_map(|n| Shape::Shown(Shown(n as i64))),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| prop::collection::vec(inner, 0..8).prop_map(Shape::Many))
}

/// Room for whatever comes here, and that nothing in it was written by who was to write less.
fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    let mut into = vec![0xaa; 1 << 16];
    let len = encode_into(value, &mut into).unwrap();
    assert!(into[len + SLACK..].iter().all(|byte| *byte == 0xaa));
    into.truncate(len);
    into
}

#[test]
fn integers_at_the_edges_of_each_length_are_as_postcard_makes_them() {
    for bits in 0..64 {
        for value in [1u64 << bits, (1 << bits) - 1, (1 << bits) + 1, !0 >> bits] {
            assert_eq!(encoded(&value), postcard::to_stdvec(&value).unwrap(), "{value}");
            let (signed, short) = (value as i64, (value as u32, value as u16));
            for value in [signed, signed.wrapping_neg(), !signed] {
                assert_eq!(encoded(&value), postcard::to_stdvec(&value).unwrap(), "{value}");
            }
            assert_eq!(encoded(&short), postcard::to_stdvec(&short).unwrap());
            let wide = (u128::from(value), i128::from(value as i64), -i128::from(value));
            assert_eq!(encoded(&wide), postcard::to_stdvec(&wide).unwrap());
            let signed = (value as i32, value as i16, value as i8);
            assert_eq!(encoded(&signed), postcard::to_stdvec(&signed).unwrap());
        }
    }
}

#[test]
fn it_is_refused_for_lack_of_room_alone() {
    struct Uncounted;
    impl Serialize for Uncounted {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq([0, 1].iter().filter(|n| **n > 0))
        }
    }
    let mut into = [0; 64];
    assert_eq!(encode_into(&Uncounted, &mut into), Err(SerializeSeqLengthUnknown));
    for value in [(1, "text"), (u64::MAX, "longer text")] {
        let len = encoded(&value).len();
        for room in 0..64 {
            match encode_into(&value, &mut into[..room]) {
                Ok(taken) => assert_eq!(into[..taken], encoded(&value)),
                Err(error) => assert!(error == SerializeBufferFull && room < len + SLACK),
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_it_is_comes_out_as_postcard_makes_it(shape in shape()) {
        prop_assert_eq!(encoded(&shape), postcard::to_stdvec(&shape).unwrap());
    }
}
