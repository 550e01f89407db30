#include "souk/clock.hpp"

namespace souk {
namespace {

namespace chrono = std::chrono;

Error bad_timestamp() {
    return invalid("bad_timestamp", "expected an RFC 3339 time such as 2026-11-23T11:16:00Z");
}

/// Reads fixed-width fields from the front of a text; one fault spoils the whole.
class FieldScanner {
public:
    explicit FieldScanner(std::string_view text) : rest_(text) {}

    int digits(std::size_t width) {
        int value = 0;
        for (std::size_t i = 0; i < width; ++i) {
            char c = next();
            if (c < '0' || c > '9') ok_ = false;
            value = value * 10 + (c - '0');
        }
        return ok_ ? value : 0;
    }
    void expect(std::string_view any_of) {
        if (any_of.find(next()) == std::string_view::npos) ok_ = false;
    }
    char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    char next() {
        char c = peek();
        if (rest_.empty()) {
            ok_ = false;
        } else {
            rest_.remove_prefix(1);
        }
        return c;
    }
    bool ok() const { return ok_; }
    bool at_end() const { return rest_.empty(); }

private:
    std::string_view rest_;
    bool ok_ = true;
};

/// Digits after the point; what is finer than a microsecond is cut off.
microseconds scan_fraction(FieldScanner& in) {
    if (in.peek() != '.') return microseconds(0);
    in.next();
    std::int64_t unit = 100'000;
    std::int64_t total = in.digits(1) * unit;
    while (in.peek() >= '0' && in.peek() <= '9') {
        unit /= 10;
        total += in.digits(1) * unit;
    }
    return microseconds(total);
}

/// Nothing when the offset is malformed.
std::optional<chrono::minutes> scan_offset(FieldScanner& in) {
    char sign = in.next();
    if (sign == 'Z' || sign == 'z') return chrono::minutes(0);
    if (sign != '+' && sign != '-') return std::nullopt;
    int hours = in.digits(2);
    in.expect(":");
    int minutes = in.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    auto offset = chrono::hours(hours) + chrono::minutes(minutes);
    return sign == '+' ? chrono::minutes(offset) : -chrono::minutes(offset);
}

}  // namespace

std::string to_rfc3339(Timestamp t) {
    auto day = chrono::floor<chrono::days>(t);
    chrono::year_month_day date(day);
    chrono::hh_mm_ss time(chrono::floor<milliseconds>(t - day));
    // By hand: every log line has one.
    std::string text("0000-00-00T00:00:00.000Z");
    const auto put = [&](std::size_t end, int digits, std::int64_t value) {
        for (; digits > 0; --digits, value /= 10)
            text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, 4, static_cast<int>(date.year()));
    put(7, 2, static_cast<unsigned>(date.month()));
    put(10, 2, static_cast<unsigned>(date.day()));
    put(13, 2, time.hours().count());
    put(16, 2, time.minutes().count());
    put(19, 2, time.seconds().count());
    put(23, 3, time.subseconds().count());
    return text;
}

Result<Timestamp> parse_rfc3339(std::string_view text) {
    FieldScanner in(text);
    chrono::year year(in.digits(4));
    in.expect("-");
    chrono::month month(static_cast<unsigned>(in.digits(2)));
    in.expect("-");
    chrono::day day(static_cast<unsigned>(in.digits(2)));
    in.expect("Tt");
    int hour = in.digits(2);
    in.expect(":");
    int minute = in.digits(2);
    in.expect(":");
    int second = in.digits(2);
    microseconds fraction = scan_fraction(in);
    std::optional<chrono::minutes> offset = scan_offset(in);

    chrono::year_month_day date(year, month, day);
    // 60 is a leap second; it becomes the first of the next minute, as POSIX time has it.
    bool in_range = date.ok() && hour <= 23 && minute <= 59 && second <= 60;
    if (!in.ok() || !in.at_end() || !offset || !in_range) return bad_timestamp();
    auto local = chrono::sys_days(date) + chrono::hours(hour) + chrono::minutes(minute) +
                 chrono::seconds(second) + fraction;
    // An offset may lead out of the years that RFC 3339 can write.
    const Timestamp time(local - *offset);
    const bool writable = time >= Timestamp(chrono::sys_days(chrono::year(0) / 1 / 1)) &&
                          time < Timestamp(chrono::sys_days(chrono::year(10'000) / 1 / 1));
    if (!writable) return bad_timestamp();
    return time;
}

}  // namespace souk
