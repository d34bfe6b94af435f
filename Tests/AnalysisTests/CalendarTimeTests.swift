import Analysis
import Bus
import Testing

@Suite struct CalendarTimeTests {
  @Test(arguments: [
    (Int64(0), "1970-01-01 00:00:00"), (1_700_000_000, "2023-11-14 22:13:20"), (951_782_400, "2000-02-29 00:00:00"),
    (4_107_542_399, "2100-02-28 23:59:59"), (4_107_542_400, "2100-03-01 00:00:00"), (-1, "1969-12-31 23:59:59"),
  ])
  func secondsBecomeDates(seconds: Int64, text: String) {
    #expect(CalendarTime(Timestamp(nanoseconds: seconds * 1_000_000_000)).description == text)
  }
}
