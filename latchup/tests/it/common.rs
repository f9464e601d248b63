//! A folder for each test, and the command run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for the test `name`, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the folder of an earlier run can be removed");
    }
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

/// Writes a file into `folder`.
pub(crate) fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), contents).expect("a file can be written");
}

/// Reads a file of `folder` as text.
pub(crate) fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The command with these arguments, to be run in `folder`.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchup"));
    command.current_dir(folder).args(arguments);
    command
}

/// What the command printed, and its exit status.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// Exit status; -1 if a signal ended it.
    pub(crate) status: i32,
}

/// Runs the command in `folder`.
pub(crate) fn latchup(folder: &Path, arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } =
        command(folder, arguments).output().expect("the command can be started");
    Ran {
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
        status: status.code().unwrap_or(-1),
    }
}

/// Where [`elf`] puts its code.
const CODE: u64 = 0x10_0000;

/// A static ELF64 program that consists of `code`.
pub(crate) fn elf(code: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    // ET_EXEC for EM_X86_64, version 1; entry, program headers, no section headers.
    half(&mut file, 2);
    half(&mut file, 62);
    word(&mut file, 1);
    [CODE + HEADERS, 64, 0].iter().for_each(|&value| long(&mut file, value));
    word(&mut file, 0);
    [64, 56, 1, 64, 0, 0].iter().for_each(|&value| half(&mut file, value));
    // One PT_LOAD segment, readable and executable, with the whole file.
    word(&mut file, 1);
    word(&mut file, 5);
    let size = HEADERS + code.len() as u64;
    [0, CODE, CODE, size, size, 0x1000].iter().for_each(|&value| long(&mut file, value));
    file.extend(code);
    file
}

/// Code that writes `text` to the debug console.
pub(crate) fn say(text: &str) -> Vec<u8> {
    // mov al, byte; out 0xe9, al
    text.bytes().flat_map(|byte| [0xb0, byte, 0xe6, 0xe9]).collect()
}

/// Code that counts down from `count`.
pub(crate) fn count_down(count: u32) -> Vec<u8> {
    // mov ecx, count; 1: dec ecx; jnz 1b
    let mut code = vec![0xb9];
    code.extend(count.to_le_bytes());
    code.extend([0xff, 0xc9, 0x75, 0xfc]);
    code
}

/// Code that ends the run with an exit status.
pub(crate) fn exit(status: u8) -> Vec<u8> {
    // mov al, status; out 0xf4, al; hlt
    vec![0xb0, status, 0xe6, 0xf4, 0xf4]
}
