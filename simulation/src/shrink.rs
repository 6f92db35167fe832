use crate::check::Promise;
use crate::plan::Plan;
use crate::plan::hazards::Hazard;
use crate::plan::step::{Act, Holding};
use crate::run::{Run, Setup, replay};

/// A short plan that breaks this promise as the given one does, and its run. What is left of it is
/// needed: with any one part less, the promise is kept.
pub fn shrink(plan: &Plan, setup: &Setup, promise: Promise) -> (Plan, Run) {
    let mut shortest = (plan.clone(), replay(plan, setup));
    loop {
        let (mut at, mut was_cut) = (0, false);
        while let Some(cut) = cuts(&shortest.0).get(at) {
            let shorter = cut.made(&shortest.0);
            let run = replay(&shorter, setup);
            let breaks = run.violations.iter().any(|found| found.promise == promise);
            if breaks {
                (shortest, was_cut) = ((shorter, run), true);
            } else {
                at += 1;
            }
        }
        if !was_cut {
            return shortest;
        }
    }
}

/// Something to leave out of a plan.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// All that a client does.
    Client(usize),
    Disaster(usize),
    Hazard(Hazard),
    /// That clocks differ.
    Clocks,
    Worker(usize, usize),
    /// All that a worker does from a step on.
    Later(usize, usize, usize),
    Step(usize, usize, usize),
    /// What is done with a guard but for the first, and its limit.
    Uses(usize, usize, usize),
}

/// What can be left out, the most first.
fn cuts(plan: &Plan) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut workers, mut later, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for (c, client) in plan.clients.iter().enumerate() {
        if client.workers.iter().any(|steps| !steps.is_empty()) {
            cuts.push(Cut::Client(c));
        }
        for (w, script) in client.workers.iter().enumerate() {
            if !script.is_empty() {
                workers.push(Cut::Worker(c, w));
            }
            if script.len() > 3 {
                later.push(Cut::Later(c, w, script.len() / 2));
            }
            for (s, step) in script.iter().enumerate() {
                steps.push(Cut::Step(c, w, s));
                if matches!(&step.act, Act::Hold(holding) if holding.uses.len() > 1) {
                    steps.push(Cut::Uses(c, w, s));
                }
            }
        }
    }
    cuts.extend((0..plan.disasters.len()).map(Cut::Disaster));
    cuts.append(&mut workers);
    let hazards = Hazard::ALL.into_iter();
    cuts.extend(
        hazards
            .filter(|hazard| plan.hazards.has(*hazard))
            .map(Cut::Hazard),
    );
    cuts.append(&mut later);
    cuts.append(&mut steps);
    let mut rates = plan.clients.iter().map(|client| client.rate);
    if plan.server_rate != 1.0 || rates.any(|rate| rate != 1.0) {
        cuts.push(Cut::Clocks);
    }
    cuts
}

impl Cut {
    fn made(self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        match self {
            Self::Client(c) => plan.clients[c].workers.iter_mut().for_each(Vec::clear),
            Self::Disaster(d) => drop(plan.disasters.remove(d)),
            Self::Hazard(hazard) => plan.hazards = plan.hazards.without(hazard),
            Self::Clocks => {
                plan.server_rate = 1.0;
                plan.clients.iter_mut().for_each(|client| client.rate = 1.0);
            }
            Self::Worker(c, w) => plan.clients[c].workers[w].clear(),
            Self::Later(c, w, s) => plan.clients[c].workers[w].truncate(s),
            Self::Step(c, w, s) => drop(plan.clients[c].workers[w].remove(s)),
            Self::Uses(c, w, s) => {
                if let Act::Hold(Holding { uses, .. }) = &mut plan.clients[c].workers[w][s].act {
                    uses.truncate(1);
                }
            }
        }
        plan
    }
}
