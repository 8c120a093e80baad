use postbox::*;
use postbox_sys::clock;
fn main() {
    for m in std::env::args().nth(1).map(|m| vec![m.parse::<Mechanism>().unwrap()]).unwrap_or(Mechanism::ALL.to_vec()) { for form in [Form::ManyToMany, Form::OneToOne] {
        let (tx, rx) = Options::new(m).capacity(Capacity::Bounded(8)).fixed_size(64).form(form).wait_strategy(WaitStrategy::Spin).channel::<Bytes>().unwrap();
        let msg=[7u8;64]; let mut b=Vec::with_capacity(64);
        let mut best=(f64::MAX,f64::MAX);
        for _ in 0..50 { let n=20000; 
            let t=clock::now(); for _ in 0..n { tx.send(&msg).unwrap(); rx.receive_into(&mut b).unwrap(); } let e=(clock::now()-t) as f64/n as f64;
            if e<best.0 {best.0=e}
            let t=clock::now(); for _ in 0..n { rx.try_receive_into(&mut b).unwrap(); } let e=(clock::now()-t) as f64/n as f64;
            if e<best.1 {best.1=e}
        }
        println!("{m} {form:?} send+receive {:.1} ns, empty try {:.1}", best.0, best.1);
    }}
}
