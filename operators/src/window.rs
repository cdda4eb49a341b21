//! Windows.
/// x
pub trait AggregateFunction<T>: Clone + 'static {
    /// x
    type Accumulator: highwater_state::StateValue;
    /// x
    type Output: highwater_core::Data;
    /// x
    fn create(&self) -> Self::Accumulator;
    /// x
    fn add(&self, acc: &mut Self::Accumulator, value: T);
    /// x
    fn result(&self, acc: &Self::Accumulator) -> Self::Output;
}
