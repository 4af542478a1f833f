//! An assembler for classic BPF that grows from the last instruction to the first.
//!
//! Jumps only go forward, so writing backwards means that every target is there already when a
//! jump to it is made, and its distance is known.

use std::collections::BTreeMap;

use syscalls::seccomp::Instruction;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const GREATER_OR_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// The farthest a conditional jump reaches.
const REACH: usize = 255;

/// An instruction's place, counted from the end of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// The program so far, last instruction first.
#[derive(Default)]
pub(crate) struct Code {
    reversed: Vec<Instruction>,
    /// The newest return of each value.
    returns: BTreeMap<u32, Label>,
}

impl Code {
    pub(crate) fn with_capacity(instructions: usize) -> Code {
        Code { reversed: Vec::with_capacity(instructions), returns: BTreeMap::new() }
    }

    fn push(&mut self, code: u16, jt: usize, jf: usize, k: u32) -> Label {
        debug_assert!(jt <= REACH && jf <= REACH);
        self.reversed.push(Instruction { code, jt: jt as u8, jf: jf as u8, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions a jump written next would skip to get to `target`.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - target.0 - 1
    }

    /// A return of `value`, an existing one when it is near.
    pub(crate) fn ret(&mut self, value: u32) -> Label {
        match self.returns.get(&value) {
            // Leave room for what a caller writes before it jumps here.
            Some(label) if self.distance(*label) < REACH - 16 => *label,
            _ => {
                let label = self.push(RETURN, 0, 0, value);
                self.returns.insert(value, label);
                label
            }
        }
    }

    /// A stand-in for `target` that the next `room` instructions can jump to.
    fn near(&mut self, target: Label, room: usize) -> Label {
        if self.distance(target) + room <= REACH {
            return target;
        }
        let far = self.reversed[target.0];
        if far.code == RETURN {
            return self.ret(far.k);
        }
        let distance = self.distance(target) as u32;
        self.push(JUMP, 0, 0, distance)
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        // Either stand-in may cost one instruction, which the other one's distance must allow for.
        let yes = self.near(yes, 1);
        let no = self.near(no, 0);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        self.push(code, jt, jf, k)
    }

    pub(crate) fn jump_eq(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(EQUAL, k, yes, no)
    }

    pub(crate) fn jump_gt(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(GREATER, k, yes, no)
    }

    pub(crate) fn jump_ge(&mut self, k: u32, yes: Label, no: Label) -> Label {
        self.branch(GREATER_OR_EQUAL, k, yes, no)
    }

    /// `accumulator & mask == value`.
    pub(crate) fn and_then_eq(&mut self, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        let test = self.jump_eq(value, yes, no);
        if yes == no {
            return test;
        }
        self.push(AND, 0, 0, mask)
    }

    /// Loads the word at `offset` of struct seccomp_data, then runs what `rest` writes.
    pub(crate) fn load_and(&mut self, offset: u32, rest: impl FnOnce(&mut Code) -> Label) -> Label {
        let next = rest(self);
        self.prefix(LOAD, offset, next)
    }

    /// Writes an instruction that falls through to `next`, by a jump if `next` is elsewhere.
    fn prefix(&mut self, code: u16, k: u32, next: Label) -> Label {
        if self.distance(next) > 0 {
            let distance = self.distance(next) as u32;
            self.push(JUMP, 0, 0, distance);
        }
        self.push(code, 0, 0, k)
    }

    /// The finished program, which starts at `entry`.
    pub(crate) fn finish(mut self, entry: Label) -> Vec<Instruction> {
        let skip = self.distance(entry);
        if skip > 0 {
            self.push(JUMP, 0, 0, skip as u32);
        }
        self.reversed.reverse();
        self.reversed
    }
}
