//! What a gate follows: its list, the trust list and directives; and the delivery of what its journal holds.

use super::world::{At, Happens, World, micros};
use crate::domain::Event;
use crate::store::codes::Codes as _;

impl World {
    /// One turn of who follows the list.
    pub(super) fn follow(&mut self, at: At, boot: u32) {
        let mono = self.gate_now(at).mono;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        controller.tell_time(mono);
        let pause = controller.follow(&self.runtime);
        self.soon(micros(pause), Happens::Follow(at, boot));
        self.hear(at);
        self.look_at_list(at);
    }

    /// One turn of who follows trust list and directives.
    pub(super) fn follow_papers(&mut self, at: At, boot: u32) {
        let mono = self.gate_now(at).mono;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        controller.tell_time(mono);
        let pause = controller.follow_papers(&self.runtime);
        let (version, signed) = (
            controller.trust_version(),
            self.centre.state().papers.trust_version().max(1),
        );
        let before = post.oracle.trust_max;
        post.oracle.trust_max = before.max(version);
        if version < before {
            post.oracle
                .violated("a trust list older than one before is in force");
        }
        if version > signed {
            post.oracle
                .violated("a trust list that the centre never signed is in force");
        }
        self.soon(micros(pause), Happens::Papers(at, boot));
        self.hear(at);
    }

    /// One turn of the delivery.
    pub(super) fn deliver(&mut self, at: At, boot: u32) {
        // What a failing disk has taken all the same must be seen before it is delivered and deleted.
        self.look_at_journal(at);
        let mono = self.gate_now(at).mono;
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = post.controller.as_mut() else {
            return;
        };
        controller.tell_time(mono);
        post.delivering = false;
        let pause = controller.deliver(&self.runtime);
        if controller.journal().status().backlog > 0 {
            post.delivering = true;
            self.soon(micros(pause), Happens::Deliver(at, boot));
        }
        self.hear(at);
    }

    /// Takes what sync has to say.
    fn hear(&mut self, at: At) {
        let post = self.posts.get_mut(at);
        let directed = post.and_then(|post| post.controller.as_mut()?.hear());
        if let Some(directives) = directed {
            self.directed(at, directives);
        }
    }

    /// The gate accepts directives: the centre must have signed them, and none is older than one before.
    pub(super) fn directed(
        &mut self,
        at: At,
        directives: Vec<std::sync::Arc<crate::domain::Directive>>,
    ) {
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        for directive in &directives {
            let state = self.centre.state();
            let signed = state
                .papers
                .directive(&post.lasting.gate, directive.version);
            if signed != Some(directive) {
                post.oracle
                    .violated("a directive that the centre never signed is in force");
            }
            if directive.version < post.oracle.directed_max {
                post.oracle
                    .violated("a directive older than one before is in force");
            }
            post.oracle.directed_max = post.oracle.directed_max.max(directive.version);
        }
        self.step(at, Event::Directed(directives));
    }

    /// The list in force is never below the floor, nor below one that was in force before.
    fn look_at_list(&mut self, at: At) {
        let Some(post) = self.posts.get_mut(at) else {
            return;
        };
        let Some(controller) = &post.controller else {
            return;
        };
        let live = post.lasting.codes.state(&post.lasting.list);
        let live = live.map(|live| (live.era, live.version));
        let floor = controller.list_floor(&post.lasting.list);
        let before = post.oracle.list_max;
        post.oracle.list_max = before.max(live);
        let below = |floor: Option<(u32, u64)>| live.is_some_and(|live| Some(live) < floor);
        if below(before) || floor.is_ok_and(below) {
            post.oracle.violated("a list below its floor is in force");
        }
    }
}
