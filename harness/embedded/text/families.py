"""The sentence families: a small grammar of grade-school word problems.

A `Family` is data only. Its slots say what varies, its facts and asks say how a question may be worded, and its steps
say how it is solved. Each step is an arithmetic expression over slots and earlier results, so that equations are
true by construction and the last result is the answer. `word_problems` turns families into problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.embedded.text.vocabulary import (
    CONTAINERS,
    FOODS,
    GOALS,
    JOBS,
    NAMES,
    PLACES,
    PLANTS,
    SHOPS,
    THINGS,
    VEHICLES,
)

ITEMS: tuple[str, ...] = THINGS + FOODS
"""Everything countable that a person may own."""


@dataclass(frozen=True)
class Step:
    """One step of reasoning.

    `result` names the quantity found. `expression` gives it from slots, earlier results and whole numbers, either as
    a chain of + and - or as one * or / . `sentence` states it, with {equation} where the equation stands.
    """

    result: str
    expression: str
    sentence: str


@dataclass(frozen=True)
class Family:
    """A kind of problem.

    `slots` maps each slot to its possible values. `facts` holds, for each sentence of the question, its alternative
    wordings, and `asks` those of the closing question. Every slot occurs in every wording of some fact, so
    that two problems with different slots never share a question.
    """

    name: str
    slots: dict[str, Sequence[str] | Sequence[int]]
    facts: tuple[tuple[str, ...], ...]
    asks: tuple[str, ...]
    steps: tuple[Step, ...]


FAMILIES: tuple[Family, ...] = (
    Family(
        "change",
        {
            "name": NAMES,
            "item": ITEMS,
            "shop": SHOPS,
            "count": range(3, 13),
            "price": range(3, 16),
            "bill": (50, 80, 100, 120, 150, 200),
        },
        (
            (
                "{name} buys {count} {item} at the {shop}.",
                "At the {shop}, {name} picks {count} {item}.",
                "{name} goes to the {shop} and takes {count} {item}.",
            ),
            ("Each one costs {price} dollars.", "They cost {price} dollars each.", "One costs {price} dollars."),
            ("{He} pays with {bill} dollars.", "{He} gives the seller {bill} dollars."),
        ),
        ("How much change does {he} get?", "How many dollars does {he} get back?"),
        (
            Step("cost", "count * price", "All the {item} cost {equation} dollars."),
            Step("answer", "bill - cost", "{name} gets {equation} dollars back."),
        ),
    ),
    Family(
        "two_purchases",
        {
            "name": NAMES,
            "thing": THINGS,
            "food": FOODS,
            "count": range(2, 10),
            "price": range(3, 16),
            "number": range(2, 10),
            "value": range(2, 10),
        },
        (
            (
                "{name} buys {count} {thing} for {price} dollars each.",
                "{name} pays {price} dollars for each of {count} {thing}.",
            ),
            (
                "{He} also buys {number} {food} for {value} dollars each.",
                "Then {he} takes {number} {food} that cost {value} dollars each.",
            ),
        ),
        ("How much does {he} spend?", "How many dollars does {he} pay in total?"),
        (
            Step("first", "count * price", "The {thing} cost {equation} dollars."),
            Step("second", "number * value", "The {food} cost {equation} dollars."),
            Step("answer", "first + second", "Together that is {equation} dollars."),
        ),
    ),
    Family(
        "share",
        {
            "name": NAMES,
            "item": ITEMS,
            "start": range(10, 60),
            "more": range(5, 40),
            "kept": range(2, 12),
            "friends": range(2, 10),
        },
        (
            (
                "{name} has {start} {item} and gets {more} more.",
                "{name} had {start} {item} and then found {more} more.",
            ),
            (
                "{He} keeps {kept} and shares the rest equally among {friends} friends.",
                "After putting {kept} aside, {he} splits the rest fairly between {friends} friends.",
            ),
        ),
        ("How many {item} does each friend get?", "How many are there for each friend?"),
        (
            Step("total", "start + more", "{name} has {equation} {item} in all."),
            Step("rest", "total - kept", "There are {equation} to share."),
            Step("answer", "rest / friends", "Each friend gets {equation} {item}."),
        ),
    ),
    Family(
        "travel",
        {
            "name": NAMES,
            "vehicle": VEHICLES,
            "place": PLACES,
            "speed": range(12, 60),
            "hours": range(2, 7),
            "slow": range(3, 12),
            "time": range(2, 7),
        },
        (
            (
                "{name} rides a {vehicle} for {hours} hours at {speed} miles per hour.",
                "For {hours} hours, {name} sits in a {vehicle} that goes {speed} miles per hour.",
            ),
            (
                "Then {he} walks to the {place} for {time} hours at {slow} miles per hour.",
                "To reach the {place}, {he} goes on for {time} hours at {slow} miles per hour.",
            ),
        ),
        ("How far does {he} travel?", "How many miles is the whole way?"),
        (
            Step("ride", "speed * hours", "The {vehicle} goes {equation} miles."),
            Step("walk", "slow * time", "{name} walks {equation} miles."),
            Step("answer", "ride + walk", "The whole way is {equation} miles."),
        ),
    ),
    Family(
        "ages",
        {
            "name": NAMES,
            "other": NAMES,
            "third": NAMES,
            "age": range(4, 30),
            "gap": range(2, 15),
            "times": range(2, 5),
        },
        (
            ("{name} is {age} years old.", "The age of {name} is {age} years."),
            ("{other} is {gap} years older than {name}.", "{other} was born {gap} years before {name}."),
            ("{third} is {times} times as old as {other}.", "The age of {third} is {times} times that of {other}."),
        ),
        ("How old are {name} and {third} together?", "What is the sum of the ages of {name} and {third}?"),
        (
            Step("elder", "age + gap", "{other} is {equation} years old."),
            Step("eldest", "elder * times", "{third} is {equation} years old."),
            Step("answer", "eldest + age", "Together they are {equation} years old."),
        ),
    ),
    Family(
        "days",
        {"name": NAMES, "item": ITEMS, "monday": range(4, 40), "more": range(3, 20), "times": range(2, 5)},
        (
            ("On Monday {name} sells {monday} {item}.", "{name} sells {monday} {item} on Monday."),
            ("On Tuesday {he} sells {more} more than on Monday.", "Tuesday brings {more} more sales than Monday."),
            (
                "On Friday {he} sells {times} times as many as on Tuesday.",
                "Friday brings {times} times as many as Tuesday.",
            ),
        ),
        ("How many {item} does {he} sell on the three days?", "What is the total of the three days?"),
        (
            Step("tuesday", "monday + more", "On Tuesday it is {equation} {item}."),
            Step("friday", "tuesday * times", "On Friday it is {equation} {item}."),
            Step("answer", "monday + tuesday + friday", "In total {name} sells {equation} {item}."),
        ),
    ),
    Family(
        "compare",
        {
            "name": NAMES,
            "other": NAMES,
            "third": NAMES,
            "item": ITEMS,
            "count": range(20, 90),
            "fewer": range(3, 40),
            "more": range(3, 40),
        },
        (
            ("{name} has {count} {item}.", "There are {count} {item} in the room of {name}."),
            ("{other} has {fewer} fewer than {name}.", "{other} owns {fewer} less than {name}."),
            ("{third} has {more} more than {other}.", "{third} owns {more} more than {other}."),
        ),
        ("How many {item} do {other} and {third} have together?", "How many do {other} and {third} own in all?"),
        (
            Step("less", "count - fewer", "{other} has {equation} {item}."),
            Step("most", "less + more", "{third} has {equation} {item}."),
            Step("answer", "less + most", "Together they have {equation} {item}."),
        ),
    ),
    Family(
        "times_as_many",
        {
            "name": NAMES,
            "other": NAMES,
            "item": ITEMS,
            "count": range(4, 40),
            "times": range(2, 8),
            "gone": range(5, 50),
        },
        (
            ("{name} collects {count} {item}.", "{count} {item} lie in front of {name}."),
            (
                "{other} has {times} times as many as {name}.",
                "The number that {other} has is {times} times that of {name}.",
            ),
            ("Together they lose {gone} of them.", "They throw away {gone} of all these."),
        ),
        ("How many {item} are left?", "How many {item} do they still have?"),
        (
            Step("many", "count * times", "{other} has {equation} {item}."),
            Step("total", "many + count", "Both have {equation} {item}."),
            Step("answer", "total - gone", "There are {equation} {item} left."),
        ),
    ),
    Family(
        "gain_and_lose",
        {
            "name": NAMES,
            "other": NAMES,
            "item": ITEMS,
            "start": range(20, 99),
            "lost": range(5, 50),
            "won": range(5, 60),
            "given": range(5, 50),
        },
        (
            ("{name} starts with {start} {item}.", "In the morning {name} has {start} {item}."),
            ("{He} loses {lost}, but then wins {won}.", "{lost} of them get lost, and later {he} wins {won}."),
            ("{He} gives {given} to {other}.", "{other} takes {given} from {him}."),
        ),
        ("How many {item} does {name} have now?", "How many {item} are left for {name}?"),
        (
            Step("fewer", "start - lost", "After the loss {name} has {equation}."),
            Step("more", "fewer + won", "After the win {he} has {equation}."),
            Step("answer", "more - given", "After giving {he} has {equation} {item}."),
        ),
    ),
    Family(
        "containers",
        {
            "name": NAMES,
            "item": ITEMS,
            "container": CONTAINERS,
            "count": range(3, 13),
            "size": range(3, 16),
            "given": range(5, 40),
            "found": range(3, 40),
        },
        (
            (
                "{name} has {count} {container} with {size} {item} in each.",
                "There are {size} {item} in each of the {count} {container} that {name} owns.",
            ),
            (
                "{He} gives {given} away and finds {found} others.",
                "{given} are given away, and {found} new ones come.",
            ),
        ),
        ("How many {item} does {he} have?", "How many {item} are there in the end?"),
        (
            Step("total", "count * size", "The {container} hold {equation} {item}."),
            Step("rest", "total - given", "After giving there are {equation}."),
            Step("answer", "rest + found", "In the end there are {equation} {item}."),
        ),
    ),
    Family(
        "wages",
        {
            "name": NAMES,
            "job": JOBS,
            "pay": range(6, 30),
            "hours": range(3, 10),
            "spent": range(5, 60),
            "parts": range(2, 6),
        },
        (
            (
                "{name} works as a {job} and earns {pay} dollars per hour.",
                "As a {job}, {name} makes {pay} dollars in an hour.",
            ),
            (
                "After {hours} hours {he} spends {spent} dollars.",
                "{He} works {hours} hours and spends {spent} dollars.",
            ),
            (
                "The rest goes in {parts} equal parts to {his} children.",
                "{His} {parts} children share the rest equally.",
            ),
        ),
        ("How much does each child get?", "How many dollars is one part?"),
        (
            Step("earned", "pay * hours", "{name} earns {equation} dollars."),
            Step("rest", "earned - spent", "The rest is {equation} dollars."),
            Step("answer", "rest / parts", "Each child gets {equation} dollars."),
        ),
    ),
    Family(
        "pages",
        {
            "name": NAMES,
            "place": PLACES,
            "pages": range(60, 300),
            "rate": range(8, 30),
            "days": range(2, 8),
            "left": range(2, 9),
        },
        (
            (
                "In the {place}, {name} opens a book of {pages} pages.",
                "{name} takes a book with {pages} pages to the {place}.",
            ),
            ("{He} reads {rate} pages a day for {days} days.", "For {days} days {he} reads {rate} pages each day."),
            ("{He} wants to read the rest in {left} days.", "The rest has to be read in {left} days."),
        ),
        ("How many pages a day is that?", "How many pages must {he} read each day then?"),
        (
            Step("read", "rate * days", "{name} reads {equation} pages."),
            Step("rest", "pages - read", "The rest is {equation} pages."),
            Step("answer", "rest / left", "Each day {he} must read {equation} pages."),
        ),
    ),
    Family(
        "rows",
        {
            "name": NAMES,
            "plant": PLANTS,
            "rows": range(4, 15),
            "size": range(4, 13),
            "dead": range(3, 30),
            "new": range(3, 40),
        },
        (
            (
                "{name} plants {rows} rows of {size} {plant}.",
                "In the garden of {name} there are {rows} rows with {size} {plant} each.",
            ),
            ("In winter {dead} of them die.", "Then a storm breaks {dead} of them."),
            ("In spring {he} plants {new} more.", "Later {new} others are planted."),
        ),
        ("How many {plant} are there now?", "How many {plant} does {he} have then?"),
        (
            Step("total", "rows * size", "The rows hold {equation} {plant}."),
            Step("rest", "total - dead", "Of these {equation} live on."),
            Step("answer", "rest + new", "Now there are {equation} {plant}."),
        ),
    ),
    Family(
        "passengers",
        {
            "vehicle": VEHICLES,
            "place": PLACES,
            "shop": SHOPS,
            "start": range(15, 70),
            "off": range(3, 30),
            "on": range(3, 30),
            "out": range(3, 30),
            "in_": range(3, 30),
        },
        (
            ("A {vehicle} carries {start} people.", "There are {start} people on a {vehicle}."),
            ("At the {place}, {off} get off and {on} get on.", "By the {place}, {off} leave and {on} come in."),
            ("At the {shop}, {out} get off and {in_} get on.", "By the {shop}, {out} leave and {in_} come in."),
        ),
        ("How many people are on the {vehicle} now?", "How many people does it carry then?"),
        (
            Step("fewer", "start - off", "First {equation} stay."),
            Step("more", "fewer + on", "Then there are {equation}."),
            Step("again", "more - out", "Next {equation} stay."),
            Step("answer", "again + in_", "Now {equation} people are on it."),
        ),
    ),
    Family(
        "saving",
        {
            "name": NAMES,
            "goal": GOALS,
            "cost": range(60, 300),
            "saved": range(5, 60),
            "gift": range(5, 40),
            "weekly": range(3, 16),
        },
        (
            ("{name} wants a {goal} that costs {cost} dollars.", "The {goal} that {name} wants costs {cost} dollars."),
            (
                "{He} has {saved} dollars and gets a gift of {gift}.",
                "{His} purse holds {saved} dollars, a gift adds {gift}.",
            ),
            ("{He} saves {weekly} dollars a week.", "Each week {he} saves {weekly} dollars."),
        ),
        ("How many weeks does {he} need?", "After how many weeks can {he} buy it?"),
        (
            Step("owned", "saved + gift", "{name} has {equation} dollars."),
            Step("missing", "cost - owned", "For the {goal}, {equation} dollars are missing."),
            Step("answer", "missing / weekly", "That takes {equation} weeks."),
        ),
    ),
    Family(
        "half",
        {
            "name": NAMES,
            "other": NAMES,
            "item": ITEMS,
            "shop": SHOPS,
            "count": range(20, 130),
            "eaten": range(2, 20),
            "bought": range(5, 50),
        },
        (
            (
                "{name} has {count} {item} and gives half to {other}.",
                "{other} gets half of the {count} {item} of {name}.",
            ),
            ("Of the rest, {eaten} break.", "Then {eaten} of those left go missing."),
            ("{name} buys {bought} more at the {shop}.", "The {shop} sells {bought} more to {name}."),
        ),
        ("How many {item} does {name} have now?", "With how many {item} does {name} end up?"),
        (
            Step("half", "count / 2", "Half of them is {equation}."),
            Step("rest", "half - eaten", "Then {equation} are left."),
            Step("answer", "rest + bought", "{name} now has {equation} {item}."),
        ),
    ),
    Family(
        "baking",
        {
            "name": NAMES,
            "food": FOODS,
            "container": CONTAINERS,
            "trays": range(3, 13),
            "size": range(6, 16),
            "sold": range(2, 10),
            "each": range(3, 10),
        },
        (
            (
                "{name} fills {trays} trays with {size} {food} each.",
                "On each of {trays} trays {name} lays {size} {food}.",
            ),
            (
                "{He} sells {sold} {container} of {each} {food}.",
                "{sold} {container} with {each} {food} each are sold.",
            ),
        ),
        ("How many {food} are left?", "How many {food} does {he} still have?"),
        (
            Step("made", "trays * size", "The trays hold {equation} {food}."),
            Step("gone", "sold * each", "The {container} take {equation} {food}."),
            Step("answer", "made - gone", "There are {equation} {food} left."),
        ),
    ),
    Family(
        "legs",
        {"name": NAMES, "cows": range(3, 30), "hens": range(3, 40), "spiders": range(2, 13)},
        (
            ("On the farm of {name} live {cows} cows and {hens} hens.", "{name} keeps {cows} cows and {hens} hens."),
            ("In the barn sit {spiders} spiders.", "There are {spiders} spiders as well."),
        ),
        ("How many legs do they all have?", "How many legs is that in total?"),
        (
            Step("four", "cows * 4", "The cows have {equation} legs."),
            Step("two", "hens * 2", "The hens have {equation} legs."),
            Step("eight", "spiders * 8", "The spiders have {equation} legs."),
            Step("answer", "four + two + eight", "All have {equation} legs."),
        ),
    ),
    Family(
        "tickets",
        {
            "place": PLACES,
            "name": NAMES,
            "adults": range(2, 10),
            "price": range(6, 20),
            "children": range(2, 10),
            "fee": range(2, 8),
            "coupon": range(3, 25),
        },
        (
            (
                "At the {place} adults pay {price} dollars and children {fee}.",
                "The {place} takes {price} dollars from adults and {fee} from children.",
            ),
            (
                "{name} goes with {adults} adults and {children} children.",
                "{name} pays for {adults} adults and {children} children.",
            ),
            ("A coupon saves {coupon} dollars.", "{He} has a coupon for {coupon} dollars."),
        ),
        ("How much does {name} pay?", "How many dollars does {name} need?"),
        (
            Step("old", "adults * price", "The adults cost {equation} dollars."),
            Step("young", "children * fee", "The children cost {equation} dollars."),
            Step("full", "old + young", "That makes {equation} dollars."),
            Step("answer", "full - coupon", "With the coupon {name} pays {equation} dollars."),
        ),
    ),
)
"""Every family, in the order in which problems draw them."""
