//! Tasks over all cores, their results in order: the only user of rayon.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::mpsc;

use rayon::iter::IntoParallelIterator;
use rayon::iter::ParallelIterator;

/// Tasks that may be finished or under way beyond the one to be consumed next, per thread: bounds memory.
const LEAD_PER_THREAD: usize = 4;

/// Hands out task numbers, at most a lead ahead of the consumer.
struct Queue {
    state: Mutex<QueueState>,
    moved: Condvar,
    tasks: usize,
    lead: usize,
}

struct QueueState {
    next: usize,
    consumed: usize,
    stopped: bool,
}

impl Queue {
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        while !state.stopped && state.next < self.tasks && state.next >= state.consumed + self.lead {
            state = self.moved.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        (!state.stopped && state.next < self.tasks).then(|| {
            state.next += 1;
            state.next - 1
        })
    }

    fn update(&self, change: impl FnOnce(&mut QueueState)) {
        change(&mut self.lock());
        self.moved.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Runs `tasks` tasks on `threads` threads and gives their results to `consume` in the order of the tasks.
///
/// Each thread has a worker of its own from `make_worker`; the workers are returned. `consume` runs on the calling
/// thread; where it breaks, tasks not yet begun are dropped.
pub fn ordered<W: Send, T: Send>(
    threads: usize,
    tasks: usize,
    make_worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize) -> T + Sync,
    mut consume: impl FnMut(T) -> ControlFlow<()>,
) -> Result<Vec<W>, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let state = Mutex::new(QueueState { next: 0, consumed: 0, stopped: false });
    let queue = Queue { state, moved: Condvar::new(), tasks, lead: LEAD_PER_THREAD * threads };
    let workers = Mutex::new(Vec::with_capacity(threads));
    let (sender, receiver) = mpsc::channel();
    pool.in_place_scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (queue, workers, make_worker, work) = (&queue, &workers, &make_worker, &work);
            scope.spawn(move |_| {
                let mut worker = make_worker();
                while let Some(task) = queue.take() {
                    if sender.send((task, work(&mut worker, task))).is_err() {
                        break;
                    }
                }
                workers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(worker);
            });
        }
        drop(sender);
        consume_in_order(&queue, &receiver, &mut consume);
    });
    Ok(workers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn consume_in_order<T>(
    queue: &Queue,
    receiver: &mpsc::Receiver<(usize, T)>,
    consume: &mut impl FnMut(T) -> ControlFlow<()>,
) {
    let mut early = BTreeMap::new();
    let mut next = 0;
    while next < queue.tasks {
        let Ok((task, result)) = receiver.recv() else { return };
        early.insert(task, result);
        while let Some(result) = early.remove(&next) {
            next += 1;
            if consume(result).is_break() {
                queue.update(|state| state.stopped = true);
                return;
            }
            queue.update(|state| state.consumed = next);
        }
    }
}

/// What `work` makes of each item, in their order, on `threads` threads: for the few tasks at the end of a run.
pub fn map<I: Send, O: Send>(threads: usize, items: Vec<I>, work: impl Fn(I) -> O + Sync + Send) -> Vec<O> {
    let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    match pool {
        Some(Ok(pool)) => pool.install(|| items.into_par_iter().map(work).collect()),
        _ => items.into_iter().map(work).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_items_keep_their_order() {
        for threads in [1, 3] {
            assert_eq!(
                map(threads, (0..50).collect(), |item: u32| item * item),
                (0..50).map(|item| item * item).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for threads in [1, 2, 8] {
            let mut seen = Vec::new();
            let workers = ordered(
                threads,
                100,
                || 0usize,
                |done, task| {
                    *done += 1;
                    task * task
                },
                |square| {
                    seen.push(square);
                    ControlFlow::Continue(())
                },
            )
            .expect("threads");
            assert_eq!(seen, (0..100).map(|task| task * task).collect::<Vec<_>>());
            assert_eq!(workers.iter().sum::<usize>(), 100);
        }
    }

    #[test]
    fn a_break_stops_the_rest() {
        let mut seen = 0;
        let workers = ordered(
            2,
            10_000,
            || 0usize,
            |done, task| {
                *done += 1;
                task
            },
            |_| {
                seen += 1;
                if seen == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        )
        .expect("threads");
        assert_eq!(seen, 10);
        assert!(workers.iter().sum::<usize>() < 100);
    }
}
