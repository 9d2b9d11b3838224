//! Models in memory, under a budget: shared by everybody who needs them, gone when room is needed for others.
//!
//! Models are counted by their tensors, so that a model and the same model with an adapter count once what they share.
//! Nodes say how much they need beside (`Context::reserve`) and wait until there is room.

use sdk::Value;
use sdk::candle_core::TensorId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often somebody who waits looks whether the user has stopped the run.
const LOOK: Duration = Duration::from_millis(20);

/// Models in memory.
pub struct Memory {
    budget: u64,
    lasting: bool,
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
    used: u64,
    reserved: u64,
    /// Who has reserved how often.
    owners: HashMap<u64, usize>,
    clock: u64,
    next_owner: u64,
}

struct Model {
    values: Vec<Value>,
    tensors: Vec<TensorId>,
    own: u64,
    used_at: u64,
}

/// A part of the budget, until it is dropped.
pub struct Reservation {
    memory: Arc<Memory>,
    owner: u64,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut inner = self.memory.lock();
        inner.reserved -= self.bytes;
        if let Some(count) = inner.owners.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                inner.owners.remove(&self.owner);
            }
        }
        self.memory.changed.notify_all();
    }
}

/// Ends the making of a model, however that goes.
struct Making<'a> {
    memory: &'a Memory,
    key: &'a str,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.memory.lock().making.remove(self.key);
        self.memory.changed.notify_all();
    }
}

impl Memory {
    /// A memory of so many bytes. `lasting`: models stay for the next run as long as there is room (a worker); else
    /// they go when the run needs them no more.
    pub fn new(budget: u64, lasting: bool) -> Self {
        Self {
            budget,
            lasting,
            inner: Mutex::default(),
            changed: Condvar::new(),
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

    /// Bytes of the models that are held.
    pub fn used(&self) -> u64 {
        self.lock().used
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

    fn pause<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        let woken = self.changed.wait_timeout(inner, LOOK);
        woken.map_or_else(|e| e.into_inner().0, |(inner, _)| inner)
    }

    fn keep(&self, key: &str, values: Vec<Value>) {
        let mut inner = self.lock();
        inner.clock += 1;
        let mut model = Model {
            own: values.iter().map(|value| value.size() as u64).sum(),
            tensors: Vec::new(),
            used_at: inner.clock,
            values: Vec::new(),
        };
        for held in values.iter().flat_map(Value::held) {
            let entry = inner.tensors.entry(held.id).or_insert((0, held.bytes as u64));
            entry.0 += 1;
            let bytes = if entry.0 == 1 { entry.1 } else { 0 };
            inner.used += bytes;
            model.tensors.push(held.id);
        }
        inner.used += model.own;
        model.values = values;
        inner.models.insert(key.to_owned(), model);
        // The one that was just made is in its maker's hands, and stays.
        inner.make_room(self.budget);
    }

    /// A run needs a model no more.
    pub fn release(&self, key: &str) {
        if !self.lasting {
            let dropped = self.lock().remove(key);
            drop(dropped);
            self.changed.notify_all();
        }
    }

    /// A name for one who reserves.
    pub fn owner(&self) -> u64 {
        let mut inner = self.lock();
        inner.next_owner += 1;
        inner.next_owner
    }

    /// Waits until so many bytes fit beside models and other reservations; models that nobody uses go first. Who waits
    /// gets room at the latest when nobody else has any, so that somebody always goes on. `wait` is called while there
    /// is no room, and may give up.
    ///
    /// # Errors
    /// Those of `wait`.
    pub fn reserve<E>(
        self: &Arc<Self>,
        owner: u64,
        bytes: u64,
        mut wait: impl FnMut() -> Result<(), E>,
    ) -> Result<Reservation, E> {
        let mut inner = self.lock();
        loop {
            let others = inner.owners.keys().any(|other| *other != owner);
            let gone = inner.make_room(self.budget.saturating_sub(bytes));
            if inner.used + inner.reserved + bytes <= self.budget || !others {
                inner.reserved += bytes;
                *inner.owners.entry(owner).or_default() += 1;
                drop((inner, gone));
                return Ok(Reservation {
                    memory: self.clone(),
                    owner,
                    bytes,
                });
            }
            inner = self.pause(inner);
            drop(inner);
            drop(gone);
            wait()?;
            inner = self.lock();
        }
    }
}

impl Inner {
    fn remove(&mut self, key: &str) -> Option<Model> {
        let model = self.models.remove(key)?;
        self.used -= model.own;
        for id in &model.tensors {
            if let Some(entry) = self.tensors.get_mut(id) {
                entry.0 -= 1;
                if entry.0 == 0 {
                    self.used -= entry.1;
                    self.tensors.remove(id);
                }
            }
        }
        Some(model)
    }

    /// Lets go of models that nobody uses, the longest unused first, until models and reservations fit into `room`.
    /// Gives them back, to be dropped outside the lock.
    fn make_room(&mut self, room: u64) -> Vec<Model> {
        let mut gone = Vec::new();
        while self.used + self.reserved > room {
            let idle = self
                .models
                .iter()
                .filter(|(_, model)| !model.values.iter().any(Value::is_shared));
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
        let memory = Arc::new(Memory::new(100, true));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for i in 0..12usize {
                let (memory, now, most) = (&memory, &now, &most);
                scope.spawn(move || {
                    // One of them is larger than the budget: it goes alone.
                    let bytes = if i == 5 { 150 } else { 30 };
                    let room = memory.reserve::<()>(memory.owner(), bytes, || Ok(())).unwrap();
                    let all = now.fetch_add(bytes as usize, Ordering::SeqCst) + bytes as usize;
                    most.fetch_max(all, Ordering::SeqCst);
                    assert!(all <= 100 || all == 150, "{all}");
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(bytes as usize, Ordering::SeqCst);
                    drop(room);
                });
            }
        });
        let owner = memory.owner();
        let first = memory.reserve::<()>(owner, 90, || Ok(())).unwrap();
        let second = memory.reserve(owner, 90, || Err(())).unwrap();
        assert!(memory.reserve(memory.owner(), 1, || Err(())).is_err(), "others wait");
        drop((first, second));
        assert_eq!(memory.lock().reserved, 0);
    }
}
