//! Memory under a budget: models, shared by everybody who needs them and gone when room is needed for others; results that
//! are at hand; and room for steps.
//!
//! Models are counted by their tensors, so that a model and the same model with an adapter count once what they share,
//! and by what they keep beside these at the moment. Steps say how much they will add (`Context::reserve`) and wait until
//! there is room.

use sdk::candle_core::TensorId;
use sdk::{Promise, Value, process};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the program takes beside all that is counted: its libraries, and what the threads of its kernels keep.
const PROGRAM: u64 = 32 << 20;

/// A step gets this part more than it asks for, since an allocator cannot use all that it has.
const SLACK: u64 = 8;

/// How often somebody who waits looks whether the user has stopped the run.
const LOOK: Duration = Duration::from_millis(20);

/// How long nobody else must have been at work before a step begins that does not fit: time for what follows the last
/// one to begin.
const ALONE: Duration = Duration::from_millis(200);

/// Results at hand take this part of the budget at the most; more are read from the store when they are needed.
const RESULTS: u64 = 8;

/// Holders of a value that only waits: the memory, and the run that it belongs to.
const WAITING: usize = 2;

/// Memory under a budget.
pub struct Memory {
    budget: u64,
    lasting: bool,
    /// What the program takes of the budget.
    program: u64,
    /// What the process occupied before anything was counted.
    start: u64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    models: HashMap<String, Model>,
    /// Models that somebody is making.
    making: HashSet<String>,
    /// How many models hold a tensor, and its bytes.
    tensors: HashMap<TensorId, (usize, u64)>,
    /// Bytes of all these tensors.
    shared: u64,
    results: u64,
    reserved: u64,
    /// Steps that execute, and whether they wait for room.
    guests: HashMap<u64, bool>,
    /// How many threads wait for a change.
    waiting: usize,
    clock: u64,
    next_guest: u64,
}

struct Model {
    values: Vec<Value>,
    tensors: Vec<TensorId>,
    used_at: u64,
}

/// A step that executes, until it is dropped.
pub struct Visit {
    memory: Arc<Memory>,
    guest: u64,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        inner.guests.remove(&self.guest);
        self.memory.wake(&inner);
    }
}

/// A part of the budget, until it is dropped.
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: u64,
    /// What was in memory beside, if all together is more than the budget.
    pub beside: Option<u64>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        inner.reserved -= self.bytes;
        self.memory.wake(&inner);
    }
}

impl Reservation {
    /// How many bytes it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Promise for Reservation {
    fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes + bytes / SLACK);
        if less == 0 {
            return;
        }
        self.bytes -= less;
        let mut inner = self.memory.lock();
        inner.reserved -= less;
        self.memory.wake(&inner);
    }
}

/// Results that are at hand, until it is dropped.
pub struct AtHand {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Drop for AtHand {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        inner.results -= self.bytes;
        self.memory.wake(&inner);
    }
}

/// Ends the making of a model, however that goes.
struct Making<'a> {
    memory: &'a Memory,
    key: &'a str,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        inner.making.remove(self.key);
        self.memory.wake(&inner);
    }
}

impl Memory {
    /// A memory of so many bytes. `lasting`: models stay for the next run as long as there is room (a worker); else
    /// they go when the run needs them no more.
    pub fn new(budget: u64, lasting: bool) -> Self {
        Self {
            budget,
            lasting,
            program: 0,
            start: process::resident(),
            inner: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// As [`Memory::new`], with room for the program itself in the budget.
    pub fn of_process(budget: u64, lasting: bool) -> Self {
        Self {
            program: PROGRAM,
            ..Self::new(budget, lasting)
        }
    }

    /// Three quarters of what the machine, or the container, has.
    pub fn default_budget() -> u64 {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            Some(number(line.trim().strip_suffix("kB")?)? << 10)
        });
        let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let container = container.and_then(|text| number(&text));
        let all = machine.into_iter().chain(container).min().unwrap_or(8 << 30);
        all / 4 * 3
    }

    /// The budget in bytes.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Bytes for models, results and steps.
    fn room(&self) -> u64 {
        self.budget.saturating_sub(self.program)
    }

    /// Bytes of the models that are held, and of the results at hand.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model with this key: the one that is held, or one that is made now. While somebody else makes it, `wait` is
    /// called, and may give up.
    ///
    /// # Errors
    /// Those of `wait` and `make`.
    pub fn model<E>(
        &self,
        key: &str,
        mut wait: impl FnMut() -> Result<(), E>,
        make: impl FnOnce() -> Result<Vec<Value>, E>,
    ) -> Result<Vec<Value>, E> {
        let mut inner = self.lock();
        loop {
            inner.clock += 1;
            let now = inner.clock;
            if let Some(model) = inner.models.get_mut(key) {
                model.used_at = now;
                return Ok(model.values.clone());
            }
            if inner.making.insert(key.to_owned()) {
                break;
            }
            inner = self.pause(inner);
            drop(inner);
            wait()?;
            inner = self.lock();
        }
        drop(inner);
        let _making = Making { memory: self, key };
        let values = make()?;
        self.keep(key, values.clone());
        Ok(values)
    }

    fn pause<'a>(&self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        inner.waiting += 1;
        let woken = self.changed.wait_timeout(inner, LOOK);
        let mut inner = woken.map_or_else(|e| e.into_inner().0, |(inner, _)| inner);
        inner.waiting -= 1;
        inner
    }

    /// Something changed. The system is asked only if somebody waits: most nodes are done sooner than it answers.
    fn wake(&self, inner: &Inner) {
        if inner.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn keep(&self, key: &str, values: Vec<Value>) {
        let mut inner = self.lock();
        inner.clock += 1;
        let mut model = Model {
            tensors: Vec::new(),
            used_at: inner.clock,
            values: Vec::new(),
        };
        for held in values.iter().flat_map(Value::held) {
            let entry = inner.tensors.entry(held.id).or_insert((0, held.bytes as u64));
            entry.0 += 1;
            let bytes = if entry.0 == 1 { entry.1 } else { 0 };
            inner.shared += bytes;
            model.tensors.push(held.id);
        }
        model.values = values;
        inner.models.insert(key.to_owned(), model);
        // The one that was just made is in its maker's hands, and stays.
        let gone = inner.make_room(self.room());
        drop((inner, gone));
    }

    /// A run needs a model no more.
    pub fn release(&self, key: &str) {
        if !self.lasting {
            let mut inner = self.lock();
            let dropped = inner.remove(key);
            self.wake(&inner);
            drop((inner, dropped));
        }
    }

    /// Counts results of so many bytes, if there is room for them.
    pub fn at_hand(self: &Arc<Self>, bytes: u64) -> Option<AtHand> {
        let mut inner = self.lock();
        let room = self.room();
        if inner.results + bytes > room / RESULTS || inner.used() + inner.reserved + bytes > room {
            return None;
        }
        inner.results += bytes;
        Some(AtHand {
            memory: self.clone(),
            bytes,
        })
    }

    /// The allocator keeps what was freed. Where so many bytes more would not fit beside that, it gives it back.
    fn clear(&self, bytes: u64) {
        if process::resident() + bytes > self.start + self.budget {
            process::give_back();
        }
    }

    /// A step begins to execute.
    pub fn visit(self: &Arc<Self>) -> Visit {
        let mut inner = self.lock();
        inner.next_guest += 1;
        let guest = inner.next_guest;
        inner.guests.insert(guest, false);
        Visit {
            memory: self.clone(),
            guest,
        }
    }
}

impl Visit {
    /// The budget in bytes.
    pub fn budget(&self) -> u64 {
        self.memory.budget
    }

    /// Waits until so many bytes fit beside what is in memory and promised; what can be made again goes first. A step
    /// that does not fit begins when all others wait too, so that somebody always goes on. `wait` is called while there is
    /// no room, and may give up; then `need` is asked again.
    ///
    /// # Errors
    /// Those of `wait`.
    pub fn reserve<E>(
        &self,
        need: impl Fn() -> u64,
        mut wait: impl FnMut() -> Result<(), E>,
    ) -> Result<Reservation, E> {
        let (memory, guest) = (&self.memory, self.guest);
        let mut alone: Option<Instant> = None;
        let mut inner = memory.lock();
        loop {
            let bytes = need();
            let bytes = bytes + bytes / SLACK;
            let gone = inner.make_room(memory.room().saturating_sub(bytes));
            let beside = inner.used() + inner.reserved;
            let fits = beside + bytes <= memory.room();
            let others = inner.guests.iter().any(|(other, waits)| *other != guest && !waits);
            alone = if others {
                None
            } else {
                alone.or_else(|| Some(Instant::now()))
            };
            if fits || alone.is_some_and(|since| since.elapsed() >= ALONE) {
                inner.reserved += bytes;
                inner.guests.insert(guest, false);
                drop((inner, gone));
                memory.clear(bytes);
                return Ok(Reservation {
                    memory: memory.clone(),
                    bytes,
                    beside: (!fits).then_some(beside + memory.program),
                });
            }
            inner.guests.insert(guest, true);
            inner = memory.pause(inner);
            drop((inner, gone));
            wait()?;
            inner = memory.lock();
        }
    }
}

impl Inner {
    /// Bytes of models and results.
    fn used(&self) -> u64 {
        let values = self.models.values().flat_map(|model| &model.values);
        let own: u64 = values.map(|value| value.size() as u64).sum();
        self.shared + own + self.results
    }

    fn remove(&mut self, key: &str) -> Option<Model> {
        let model = self.models.remove(key)?;
        for id in &model.tensors {
            if let Some(entry) = self.tensors.get_mut(id) {
                entry.0 -= 1;
                if entry.0 == 0 {
                    self.shared -= entry.1;
                    self.tensors.remove(id);
                }
            }
        }
        Some(model)
    }

    /// Lets go of what models that no step has in hand can make again, then of models that nobody uses, the longest
    /// unused first, until all that is counted fits into `room`. Gives the models back, to be dropped outside the lock.
    fn make_room(&mut self, room: u64) -> Vec<Model> {
        let mut gone = Vec::new();
        if self.used() + self.reserved > room {
            let values = self.models.values().flat_map(|model| &model.values);
            values.filter(|value| value.holders() <= WAITING).for_each(Value::shed);
        }
        while self.used() + self.reserved > room {
            let in_use = |model: &Model| model.values.iter().any(|value| value.holders() > 1);
            let idle = self.models.iter().filter(|(_, model)| !in_use(model));
            let Some(key) = idle.min_by_key(|(_, model)| model.used_at).map(|(key, _)| key.clone()) else {
                break;
            };
            gone.extend(self.remove(&key));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk::candle_core::{DType, Device, Tensor};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn tensor(kilobytes: usize) -> Tensor {
        Tensor::zeros(kilobytes * 1024, DType::U8, &Device::Cpu).unwrap()
    }

    fn hold(memory: &Memory, key: &str, tensor: &Tensor) -> Vec<Value> {
        memory
            .model::<()>(key, || Ok(()), || Ok(vec![Value::new(tensor.clone())]))
            .unwrap()
    }

    #[test]
    fn what_models_share_counts_once_and_the_longest_unused_goes_first() {
        let memory = Memory::new(100 << 10, true);
        let (base, other) = (tensor(40), tensor(50));
        drop(hold(&memory, "base", &base));
        drop(hold(&memory, "adapted", &base));
        assert_eq!(memory.used(), (40 << 10) + 2 * size_of::<Tensor>() as u64);
        drop(hold(&memory, "base", &base));
        let used = hold(&memory, "other", &other);
        assert!(memory.used() < 100 << 10);
        drop(hold(&memory, "more", &tensor(40)));
        let keys = |memory: &Memory| {
            let mut keys: Vec<String> = memory.lock().models.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(&memory), ["more", "other"], "`other` is in use");
        drop(used);
        drop(hold(&memory, "most", &tensor(90)));
        assert_eq!(keys(&memory), ["most"]);
    }

    #[test]
    fn a_model_is_made_once_by_those_who_ask_together() {
        let memory = Memory::new(1 << 30, true);
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let model = memory.model::<()>(
                        "m",
                        || Ok(()),
                        || {
                            made.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(LOOK);
                            Ok(vec![Value::new(1.0)])
                        },
                    );
                    assert_eq!(model.unwrap()[0].get::<f64>().unwrap(), &1.0);
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert!(memory.model("n", || Ok(()), || Err("no")).is_err());
        assert!(
            memory.model::<()>("n", || Ok(()), || Ok(vec![])).is_ok(),
            "the failure does not block others"
        );
    }

    #[test]
    fn reservations_never_exceed_the_budget_together_and_somebody_always_goes_on() {
        // 112 of them are 100 to be asked for.
        let memory = Arc::new(Memory::new(112, true));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for i in 0..12usize {
                let (memory, now, most) = (&memory, &now, &most);
                scope.spawn(move || {
                    // One of them is larger than the budget: it goes alone.
                    let bytes = if i == 5 { 150 } else { 30 };
                    let visit = memory.visit();
                    let room = visit.reserve::<()>(|| bytes, || Ok(())).unwrap();
                    let all = now.fetch_add(bytes as usize, Ordering::SeqCst) + bytes as usize;
                    most.fetch_max(all, Ordering::SeqCst);
                    assert!(all <= 100 || all == 150, "{all}");
                    assert_eq!(room.beside, (i == 5).then_some(0));
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(bytes as usize, Ordering::SeqCst);
                    drop(room);
                });
            }
        });
        let (one, other) = (memory.visit(), memory.visit());
        let first = one.reserve::<()>(|| 90, || Ok(())).unwrap();
        assert!(other.reserve(|| 20, || Err(())).is_err(), "others wait");
        drop(one);
        let second = other.reserve::<()>(|| 90, || Ok(())).unwrap();
        assert_eq!((second.bytes(), second.beside), (101, Some(101)));
        drop((first, second));
        assert_eq!(memory.lock().reserved, 0);
    }

    #[test]
    fn those_who_hold_something_and_want_more_do_not_wait_for_each_other() {
        let memory = Arc::new(Memory::new(112, true));
        let met = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let visit = memory.visit();
                    let first = visit.reserve::<()>(|| 50, || Ok(())).unwrap();
                    met.wait();
                    let second = visit.reserve::<()>(|| 50, || Ok(())).unwrap();
                    drop((first, second));
                });
            }
        });
        assert_eq!(memory.lock().reserved, 0);
    }

    /// A value that keeps something it can make again.
    struct Keeper(std::sync::Mutex<usize>);

    impl sdk::Port for Keeper {
        const NAME: &'static str = "keeper";
        fn encode(&self) -> sdk::Result<Option<Vec<u8>>> {
            Ok(None)
        }
        fn decode(_: &[u8]) -> sdk::Result<Self> {
            sdk::bail!("not stored")
        }
        fn size(&self) -> usize {
            *self.0.lock().unwrap()
        }
        fn shed(&self) {
            *self.0.lock().unwrap() = 0;
        }
    }

    #[test]
    fn what_models_keep_counts_as_it_is_and_goes_before_they_do() {
        let memory = Arc::new(Memory::new(100, true));
        let make = || Ok(vec![Value::new(Keeper(0.into()))]);
        let of_run = memory.model::<()>("m", || Ok(()), make).unwrap();
        let in_hand = of_run[0].clone();
        *in_hand.get::<Keeper>().unwrap().0.lock().unwrap() = 60;
        assert_eq!(memory.used(), 60, "kept since it was made");
        let visit = memory.visit();
        let room = visit.reserve::<()>(|| 50, || Ok(())).unwrap();
        assert_eq!((room.beside, memory.used()), (Some(60), 60), "a step has it in hand");
        drop((room, in_hand));
        let mut room = visit.reserve::<()>(|| 50, || Ok(())).unwrap();
        assert_eq!((room.beside, memory.used()), (None, 0));
        room.shrink(16);
        assert_eq!((room.bytes(), memory.lock().reserved), (18, 18));
        room.shrink(40);
        assert_eq!(room.bytes(), 18, "it never grows");
        assert_eq!(memory.lock().models.len(), 1);
        drop(room);
    }

    #[test]
    fn results_take_a_part_of_what_is_free() {
        let memory = Arc::new(Memory::new(80, true));
        let first = memory.at_hand(8).unwrap();
        assert!(memory.at_hand(4).is_none(), "an eighth is 10");
        assert_eq!(memory.used(), 8);
        drop(first);
        let visit = memory.visit();
        let _room = visit.reserve::<()>(|| 67, || Ok(())).unwrap();
        assert!(memory.at_hand(6).is_none() && memory.at_hand(5).is_some());
    }
}
