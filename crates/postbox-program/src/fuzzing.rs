//! What the fuzzer throws bytes at: see the module of the same name in `postbox`.

use crate::records::{Framing, RecordError, RecordWriter, Records};

/// No record of these is larger.
const LIMIT: usize = 300;

/// A stream as records, in each framing, and back.
pub fn records(bytes: &[u8]) {
    let (size, stream) = bytes.split_first().map_or((1, bytes), |(n, rest)| (*n, rest));
    let pieces = Framing::Bytes(usize::from(size).max(1));
    for framing in [Framing::Lines, Framing::Whole, Framing::Prefixed, pieces] {
        read_and_write(stream, framing);
        assert_eq!(framing.to_string().parse(), Ok(framing));
    }
    if let Ok(framing) = String::from_utf8_lossy(bytes).parse::<Framing>() {
        assert_eq!(framing.to_string().parse(), Ok(framing));
    }
}

fn read_and_write(stream: &[u8], framing: Framing) {
    let mut reader = Records::new(stream, framing, LIMIT);
    let mut records = Vec::new();
    let over = loop {
        let mut record = Vec::new();
        match reader.next(&mut record) {
            Ok(true) => {
                assert!(record.len() <= LIMIT);
                records.push(record);
            }
            other => break other,
        }
        assert!(records.len() <= stream.len(), "records out of nothing");
    };
    let whole = match over {
        Ok(_) => true,
        Err(RecordError::TooLarge(limit)) => {
            assert_eq!(limit, LIMIT);
            false
        }
        Err(RecordError::Truncated) => {
            assert_eq!(framing, Framing::Prefixed);
            false
        }
        Err(RecordError::Read(error)) => panic!("memory cannot be read: {error}"),
    };
    let mut written = Vec::new();
    let mut writer = RecordWriter::new(&mut written, framing);
    records.iter().for_each(|record| writer.write(record).expect("memory is written"));
    writer.flush().expect("memory is written");
    drop(writer);
    match (whole, framing) {
        // The last line may have lacked its end.
        (true, Framing::Lines) => assert_eq!(written.strip_suffix(b"\n").unwrap_or(b""), {
            stream.strip_suffix(b"\n").unwrap_or(stream)
        }),
        (true, _) => assert_eq!(written, stream),
        (false, _) => assert!(stream.starts_with(&written)),
    }
    let mut skipped = 0;
    let mut reader = Records::new(stream, framing, LIMIT);
    while whole && reader.skip().expect("as whole as before") {
        skipped += 1;
    }
    assert!(!whole || skipped == records.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn any_stream_is_records_or_none() {
        let corpus =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/records");
        let files = std::fs::read_dir(corpus).expect("a corpus").map(|file| file.unwrap().path());
        let inputs: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap()).collect();
        assert!(!inputs.is_empty());
        for input in &inputs {
            records(input);
            // Every beginning, and every byte another.
            for at in 0..input.len().min(400) {
                records(&input[..at]);
                for byte in [0, b'\n', 1, 0xff] {
                    let mut varied = input.clone();
                    varied[at] = byte;
                    records(&varied);
                }
            }
        }
    }
}
