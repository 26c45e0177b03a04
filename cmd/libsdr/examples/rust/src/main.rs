//! Seals two sectors of 2 KiB without deals, from two threads: their calls come one at a time,
//! and are labelled together.

mod sdr;

use std::{env, fs, process, thread};

struct Print(u32);

impl sdr::Watch for Print {
    fn progress(&mut self, json: &str) {
        println!("sector {}: {json}", self.0);
    }
}

fn main() {
    println!("libsdr {}", sdr::version());
    let machine = sdr::Machine::open(r#"{"batch":2,"batch-wait":"5s"}"#).expect("opening a machine");
    let dir = env::temp_dir().join(format!("seal-{}", process::id()));
    thread::scope(|s| {
        for number in [1, 2] {
            let (machine, cache, sealed) = (&machine, dir.join(format!("cache-{number}")), dir.join(format!("sealed-{number}")));
            s.spawn(move || {
                fs::create_dir_all(&cache).expect("making the cache directory");
                fs::write(&sealed, "").expect("making the sealed file");
                // A program of more than one page would use a crate for JSON.
                let request = format!(
                    r#"{{"sectors":[{{"proof":"StackedDrg2KiBV1_1","cache-dir":{cache:?},"staged":"/dev/zero","sealed":{sealed:?},"miner":1000,"sector":{number},"ticket":"{:064}"}}]}}"#,
                    0
                );
                let phase1 = machine.precommit1(&request, &mut Print(number)).expect("sealing");
                println!("sector {number}: {phase1}");
            });
        }
    });
    let wrong = machine.precommit1("{}", &mut Print(0)).expect_err("a request without sectors");
    println!("an empty request: {}: {} {:?}", wrong.code, wrong.text, wrong.result);
    fs::remove_dir_all(&dir).expect("removing the sectors");
}
