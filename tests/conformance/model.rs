//! The reference model as a subject.

use highwater_sim::oracle::{
    Assigner, Bounds, Fired, IntervalJoinModel, ValveEvent, ValveModel, WindowModel, WindowSpec,
};

use crate::subject::{
    Aggregate, AssignSubject, JoinSubject, Subjects, ValveSubject, WindowSubject,
};

/// The reference model.
pub(crate) const SUBJECTS: Subjects = Subjects {
    window: |spec, _: Aggregate| Some(window(spec)),
    valve: |channels| Some(Box::new(ValveModel::new(channels))),
    assign: |assigner| Some(Box::new(assigner.clone())),
    join: |bounds: Bounds| Some(Box::new(Join::new(bounds))),
};

type Join = IntervalJoinModel<(), i64, i64>;

fn window(spec: &WindowSpec<String, i64>) -> Box<dyn WindowSubject> {
    Box::new(WindowModel::new(spec.clone()))
}

impl WindowSubject for WindowModel<String, i64> {
    fn element(&mut self, key: &str, value: i64, ts: i64) {
        WindowModel::element(self, key.to_owned(), value, ts);
    }

    fn watermark(&mut self, watermark: i64) {
        WindowModel::watermark(self, watermark);
    }

    fn processing_time(&mut self, time: i64) {
        WindowModel::processing_time(self, time);
    }

    fn snapshot_restore(&mut self) {
        self.restore();
    }

    fn take_output(&mut self) -> Vec<Fired<String, i64>> {
        WindowModel::take_output(self)
    }

    fn take_late(&mut self) -> Vec<(String, i64, i64)> {
        WindowModel::take_late(self)
    }
}

impl ValveSubject for ValveModel {
    fn watermark(&mut self, channel: usize, watermark: i64) {
        ValveModel::watermark(self, channel, watermark);
    }

    fn idle(&mut self, channel: usize) {
        ValveModel::idle(self, channel);
    }

    fn active(&mut self, channel: usize) {
        ValveModel::active(self, channel);
    }

    fn finished(&mut self, channel: usize) {
        ValveModel::finished(self, channel);
    }

    fn next_output(&mut self) -> Option<ValveEvent> {
        ValveModel::next_output(self)
    }
}

impl AssignSubject for Assigner<String, i64> {
    fn assign(&self, ts: i64) -> Vec<(i64, i64)> {
        let windows = Assigner::assign(self, &String::new(), &0, ts);
        windows.iter().map(|window| (window.start, window.end)).collect()
    }
}

impl JoinSubject for Join {
    fn left(&mut self, ts: i64) {
        Join::left(self, (), ts, ts);
    }

    fn right(&mut self, ts: i64) {
        Join::right(self, (), ts, ts);
    }

    fn watermark_left(&mut self, watermark: i64) {
        Join::watermark_left(self, watermark);
    }

    fn watermark_right(&mut self, watermark: i64) {
        Join::watermark_right(self, watermark);
    }

    fn snapshot_restore(&mut self) {
        self.restore();
    }

    fn take_output(&mut self) -> Vec<(i64, i64, i64)> {
        let pairs = Join::take_output(self).into_iter();
        pairs.map(|pair| (pair.left, pair.right, pair.timestamp)).collect()
    }

    fn left_state(&mut self) -> Vec<i64> {
        Join::left_state(self)
    }

    fn right_state(&mut self) -> Vec<i64> {
        Join::right_state(self)
    }
}
