# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The time in a line, in C: as `times.nanoseconds` has it."""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy


cdef inline int64_t digits(const uint8_t *p, size_t size) noexcept nogil:
    """A number of that many digits, or -1."""
    cdef int64_t value = 0
    cdef size_t i
    for i in range(size):
        if not b"0" <= p[i] <= b"9":
            return -1
        value = value * 10 + (p[i] - 48)
    return value


cdef inline int64_t fraction(const uint8_t **p, const uint8_t *end) noexcept nogil:
    """Digits behind a point, as nine of them, and move behind them; -1 if there is none."""
    cdef int64_t value = 0
    cdef int count = 0
    while p[0] < end and b"0" <= p[0][0] <= b"9":
        if count < 9:
            value = value * 10 + (p[0][0] - 48)
        count += 1
        p[0] += 1
    if count == 0:
        return -1
    while count < 9:
        value *= 10
        count += 1
    return value


cdef inline int place_of(const uint8_t *p, const char *names, int count) noexcept nogil:
    """Which of the names of three letters is here, or -1."""
    cdef int i
    for i in range(count):
        if memcmp(p, names + 3 * i, 3) == 0:
            return i
    return -1


cdef inline uint8_t *put_date(uint8_t *to, const uint8_t *year, int month, const uint8_t *day, size_t size) noexcept nogil:
    memcpy(to, year, 4)
    to[4] = to[7] = b"-"
    to[5] = 48 + (month + 1) // 10
    to[6] = 48 + (month + 1) % 10
    to[8] = b"0" if size == 1 or day[0] == b" " else day[0]
    to[9] = day[size - 1]
    to[10] = b"T"
    return to + 11


cdef inline size_t rearranged(const uint8_t *p, size_t size, uint8_t *to) noexcept nogil:
    """As `times._rearranged`: the size of what is then in `to`, 0 if it would be as it is."""
    cdef const char *months = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef const char *days = b"MonTueWedThuFriSatSun"
    cdef const uint8_t *zone
    cdef uint8_t *q
    cdef int month, i
    cdef size_t d
    if not 16 <= size <= 64:
        return 0
    if p[0] == b"[" and p[size - 1] == b"]":
        p += 1
        size -= 2
    if size >= 15 and p[8] == b"T" and digits(p, 8) >= 0 and digits(p + 9, 6) >= 0:
        put_date(to, p, <int>digits(p + 4, 2) - 1, p + 6, 2)
        to[5], to[6] = p[4], p[5]
        for i in range(3):
            to[11 + 3 * i], to[12 + 3 * i], to[13 + 3 * i] = p[9 + 2 * i], p[10 + 2 * i], b":"
        memcpy(to + 19, p + 15, size - 15)
        return size + 4
    if place_of(p, days, 7) >= 0 and p[3] == b" ":
        p += 4
        size -= 4
        if place_of(p, months, 12) < 0:
            return 0
    elif place_of(p, days, 7) >= 0 and p[3] == b"," and p[4] == b" ":
        p += 5
        size -= 5
        if not b"0" <= p[0] <= b"9":
            return 0
    month = place_of(p, months, 12)
    if month >= 0:
        if size < 23 or p[3] != b" ":
            return 0
        d = 2 if p[5] != b" " else 1
        if not (b"0" <= p[4] <= b"9" or (p[4] == b" " and d == 2)) or not b"0" <= p[3 + d] <= b"9" or p[4 + d] != b" ":
            return 0
        zone = p + size - 6
        while zone > p + 13 + d and zone[0] != b" ":
            zone -= 1
        if p[size - 5] != b" " or digits(p + size - 4, 4) < 0 or zone[0] != b" " or (zone - 1)[0] == b" ":
            return 0
        i = <int>(p + size - 6 - zone)
        if not (i == 3 and (memcmp(zone, b" UTC", 4) == 0 or memcmp(zone, b" GMT", 4) == 0)) and not (
            i == 5 and (zone[1] == b"+" or zone[1] == b"-") and digits(zone + 2, 4) >= 0
        ):
            return 0
        q = put_date(to, p + size - 4, month, p + 4, d)
        memcpy(q, p + 5 + d, zone - p - 5 - d)
        q += zone - p - 5 - d
        memcpy(q, zone + 1, i)
        return q + i - to
    if not b"0" <= p[0] <= b"9":
        return 0
    d = 2 if b"0" <= p[1] <= b"9" else 1
    if size < d + 10 or (p[d] != b"-" and p[d] != b"/" and p[d] != b" ") or p[d + 4] != p[d]:
        return 0
    month = place_of(p + d + 1, months, 12)
    if month < 0 or digits(p + d + 5, 4) < 0 or (p[d + 9] != b":" and p[d + 9] != b" "):
        return 0
    q = put_date(to, p + d + 5, month, p, d)
    memcpy(q, p + d + 10, size - d - 10)
    return size + 1 - d


cdef inline const uint8_t *behind_name(const uint8_t *p, const uint8_t *end, const uint8_t *none) noexcept nogil:
    """Behind the name of a zone that ends the text, if one is here: ` CET`, `[Europe/Berlin]`; else `none`."""
    cdef const uint8_t *q = p + 1
    if p == end:
        return end
    if p[0] == b" ":
        while q < end and b"A" <= q[0] <= b"Z":
            q += 1
        return end if q == end and 3 <= q - p <= 6 else none
    while q < end and (b"a" <= (q[0] | 0x20) <= b"z" or b"/" <= q[0] <= b"9" or q[0] == b"_" or q[0] == b"+" or q[0] == b"-"):
        q += 1
    return end if p[0] == b"[" and q + 1 == end and q[0] == b"]" and 2 <= q - p <= 41 else none


cdef inline int64_t time_of(const uint8_t *p, size_t size) noexcept nogil:
    """As `times.nanoseconds`."""
    cdef uint8_t other[80]
    cdef size_t moved
    cdef const uint8_t *end = p + size
    cdef const uint8_t *begin = p
    cdef int64_t year, month, day, hour, minute, second, nanos = 0, zone_hour = 0, zone_minute = 0, days, seconds
    cdef int sign
    while p < end and p - begin < 20 and b"0" <= p[0] <= b"9":
        p += 1
    if p - begin >= 9:
        return time_of_number(begin, p, end)
    p = begin
    moved = rearranged(p, size, other)
    if moved:
        p, size, end = other, moved, &other[0] + moved
    if size < 20 or (p[4] != b"-" and p[4] != b"/") or (p[7] != b"-" and p[7] != b"/") or p[13] != b":" or p[16] != b":":
        return 0
    if p[10] != b"T" and p[10] != b"t" and p[10] != b" ":
        return 0
    year, month, day = digits(p, 4), digits(p + 5, 2), digits(p + 8, 2)
    hour, minute, second = digits(p + 11, 2), digits(p + 14, 2), digits(p + 17, 2)
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= 31 or not 0 <= hour < 24 or not 0 <= minute < 60:
        return 0
    if not 0 <= second <= 60 or day > days_of_month(year, month):
        return 0
    p += 19
    if p[0] == b"." or p[0] == b",":
        p += 1
        nanos = fraction(&p, end)
        if nanos < 0:
            return 0
    if p < end and p[0] == b" ":
        p += 1
    if p >= end:
        return 0
    if p[0] == b"Z" or p[0] == b"z":
        sign = 0
        p += 1
    elif end - p == 3 and (memcmp(p, b"UTC", 3) == 0 or memcmp(p, b"GMT", 3) == 0):
        sign = 0
        p = end
    else:
        if (p[0] != b"+" and p[0] != b"-") or end - p < 3:
            return 0
        sign = 1 if p[0] == b"+" else -1
        zone_hour = digits(p + 1, 2)
        p += 3
        if end - p >= 3 and p[0] == b":":
            zone_minute = digits(p + 1, 2)
            p += 3
        elif end - p >= 2 and digits(p, 2) >= 0:
            zone_minute = digits(p, 2)
            p += 2
        if not 0 <= zone_hour < 24 or not 0 <= zone_minute < 60:
            return 0
    p = behind_name(p, end, NULL)
    if p != end or year > 2262:
        return 0
    # Days since 1970 of a date in a year that begins in March.
    days = year - (month < 3)
    days = days * 365 + days // 4 - days // 100 + days // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719468
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - sign * (zone_hour * 3600 + zone_minute * 60)
    if seconds < 0 or seconds > INT64_MAX // 1000000000 - 1:
        return 0
    return seconds * 1000000000 + nanos


cdef inline int64_t days_of_month(int64_t year, int64_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline int64_t time_of_number(const uint8_t *begin, const uint8_t *p, const uint8_t *end) noexcept nogil:
    """Since the epoch: digits from `begin` to `p`, and perhaps a fraction behind them."""
    cdef int64_t nanos = 0, unit = 1, scale = 1000000000
    cdef int64_t least = 946684800, most = 100000000000  # seconds, as there
    cdef uint64_t number = 0
    cdef size_t i
    if p - begin > 19:
        return 0
    for i in range(p - begin):
        number = number * 10 + (begin[i] - 48)
    if p < end:
        if p[0] != b".":
            return 0
        p += 1
        nanos = fraction(&p, end)
        if nanos < 0 or p != end:
            return 0
    while scale:
        if <uint64_t>(least * unit) <= number and (unit == 1000000000 or number < <uint64_t>(most * unit)):
            if number > <uint64_t>INT64_MAX // scale:
                return 0
            number = number * scale + nanos // unit
            return <int64_t>number if number <= <uint64_t>INT64_MAX else 0
        unit *= 1000
        scale //= 1000
    return 0
