//! A first look.
use postbox::*;
use postbox_tests::*;
use std::process::ExitCode;
use std::time::Duration;

fn exact(m: Mechanism, c: Capacity) -> Outcome {
    let Capacity::Bounded(n) = c else { return Ok(()) };
    let (tx, rx) = channel::<u32>(m, c)?;
    for i in 0..n {
        tx.try_send(&i)?;
    }
    for k in 0..n * 2 {
        assert!(tx.try_send(&0).unwrap_err().is_full());
        assert_eq!(tx.len(), n as usize);
        assert_eq!(*rx.try_receive()?.unwrap(), k);
        tx.try_send(&(n + k))?;
    }
    Ok(())
}

fn stream(m: Mechanism, c: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u32)>(m, c)?;
    let mut group = Group::new();
    let per = 2000u32;
    for s in 0..4u32 {
        group.fork(tx.clone(), move |tx| {
            for i in 0..per {
                tx.send(&(s, i))?;
            }
            Ok(())
        })?;
    }
    drop(tx);
    let mut next = [0; 4];
    for d in &rx {
        let d = d?;
        let (s, i) = *d;
        assert_eq!(next[s as usize], i);
        next[s as usize] += 1;
    }
    assert_eq!(next, [per; 4]);
    group.wait()?;
    Ok(())
}

fn large(m: Mechanism, c: Capacity) -> Outcome {
    let (tx, rx) = channel::<Bytes>(m, c)?;
    let lens = [0usize, 1, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193, 65537, 1 << 20, 16 << 20];
    let child = fork(tx, move |tx| {
        for l in lens {
            tx.send(&vec![l as u8; l])?;
        }
        Ok(())
    })?;
    for l in lens {
        let d = rx.receive_with(&Wait::timeout(Duration::from_secs(5)))?;
        assert_eq!(d.len(), l);
        assert!(d.iter().all(|b| *b == l as u8));
    }
    assert!(rx.receive().unwrap_err().is_disconnected());
    child.wait()?;
    Ok(())
}

fn deliver(m: Mechanism, c: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(m, c)?;
    let child = fork(rx, move |rx| {
        for i in 0..1000 {
            assert_eq!(*rx.receive()?, i);
        }
        Ok(())
    })?;
    for i in 0..1000 {
        let r = tx.deliver(&i)?;
        assert_eq!(r.receiver().pid(), child.pid());
    }
    child.wait()?;
    assert!(tx.send(&1).unwrap_err().is_disconnected());
    Ok(())
}

fn timeout(m: Mechanism, c: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(m, c)?;
    for i in 0..100 {
        assert!(tx.deliver_with(&i, &Wait::timeout(Duration::from_micros(100))).unwrap_err().is_timeout());
    }
    if let Capacity::Bounded(n) = c {
        for i in 0..n {
            tx.try_send(&i).map_err(|e| format!("{i}: {e}"))?;
        }
        assert!(tx.try_send(&0).unwrap_err().is_full());
        for i in 0..n {
            assert_eq!(*rx.try_receive()?.unwrap(), i);
        }
    }
    assert!(rx.try_receive()?.is_none());
    Ok(())
}

fn main() -> ExitCode {
    let mut v = over_capacities("exact", &CAPACITIES, exact);
    v.extend(over_capacities("stream", &CAPACITIES, stream));
    v.extend(over_capacities("large", &CAPACITIES, large));
    v.extend(over_capacities("deliver", &CAPACITIES, deliver));
    v.extend(over_capacities("timeout", &CAPACITIES, timeout));
    run(v)
}
