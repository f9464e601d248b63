use super::*;
use crate::guest::Guest;
use crate::guest_memory::SparseMemory;

const FIRST: u64 = 0xffff_8800_0800_0000;

/// Tasks in a memory laid out as the shipped guest's.
struct Scene {
    memory: SparseMemory,
    init: u64,
}

impl Scene {
    fn new() -> Self {
        let init = Guest::shipped().image.symbols.address("init_task").unwrap();
        Scene { memory: SparseMemory::default(), init }
    }

    fn put(&mut self, task: u64, member: &str, bytes: &[u8]) {
        let offset = Guest::shipped().debug.offset("task_struct", member).unwrap();
        self.memory.put(task + offset, bytes);
    }

    fn task(&mut self, task: u64, next: u64, pid: u32, state: u64, cpu: u32) {
        let link = Guest::shipped().debug.offset("task_struct", "tasks").unwrap();
        self.put(task, "tasks", &(next + link).to_le_bytes());
        self.put(task, "state", &state.to_le_bytes());
        self.put(task, "pid", &pid.to_le_bytes());
        self.put(task, "cpu", &cpu.to_le_bytes());
        self.put(task, "comm", b"java\0\0\0\0\0\0\0\0\0\0\0\0");
        self.put(task, "lock_depth", &(-1_i32).to_le_bytes());
    }

    fn current(&mut self, cpu: u64, task: u64, idle: u64) {
        let guest = Guest::shipped();
        let size = guest.debug.size_of(guest.debug.type_named("percpu").unwrap());
        let area = guest.image.symbols.address("per_cpu_area").unwrap() + cpu * size;
        let place = |member| area + guest.debug.offset("percpu", member).unwrap();
        self.memory.put_u64(place("current_task"), task);
        self.memory.put_u64(place("rq.idle"), idle);
    }

    fn read(&self) -> Tasks {
        let guest = Guest::shipped();
        Tasks::read(&self.memory, &guest.image.symbols, &guest.debug)
    }
}

#[test]
fn listed_and_idle_tasks_are_counted_by_state() {
    let mut scene = Scene::new();
    let (init, idle) = (scene.init, FIRST + 0x8000);
    scene.task(init, FIRST, 0, 0, 0);
    scene.task(FIRST, FIRST + 0x1000, 7, 1, 1);
    scene.task(FIRST + 0x1000, FIRST + 0x2000, 8, 2, 1);
    scene.task(FIRST + 0x2000, FIRST + 0x3000, 9, 0, 1);
    scene.task(FIRST + 0x3000, init, 10, 0, 1);
    scene.task(idle, idle, 0, 0, 1);
    scene.current(1, FIRST + 0x3000, idle);
    let tasks = scene.read();
    assert_eq!(tasks.counts(), TaskCounts { RU: 4, UN: 1, IN: 1, other: 0 });
    let running = tasks.on_cpu(1).unwrap();
    assert_eq!((running.pid, running.comm.as_str(), running.lock_depth), (10, "java", -1));
    assert_eq!(tasks.queued(), [(1, 1)], "neither the running nor the idle task waits");
    assert_eq!(tasks.on_cpu(0), None);
}

#[test]
fn a_broken_list_ends() {
    let mut scene = Scene::new();
    scene.task(scene.init, FIRST, 0, 0, 0);
    scene.task(FIRST, 0, 7, 1, 1);
    assert_eq!(scene.read().tasks.len(), 2, "the next link leads nowhere");
    let bare = Tasks::read(&scene.memory, &SymbolTable::default(), &DebugInfo::default());
    assert_eq!(bare, Tasks::default());
}

#[test]
fn states_are_those_of_crash() {
    let states = [0, 1, 2, 2 | 128, 4, 64, 256].map(TaskState::from_bits);
    use TaskState as S;
    assert_eq!(states, [S::RU, S::IN, S::UN, S::UN, S::ST, S::ZO, S::WA]);
}
