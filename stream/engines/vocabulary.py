"""The words that stand for COCO's 80 classes. Words only; `words` reads them."""

from __future__ import annotations

COCO_NAMES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)  # fmt: skip
"""In the order of the detector's outputs."""


def _table(lines: str) -> dict[str, str]:
    pairs = (line.split(": ") for line in lines.strip().splitlines())
    return {word: label for label, words in pairs for word in words.split(", ")}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAME = _table("""
person: human, human being, individual, someone, somebody, people, folk
bicycle: bike, cycle, push bike, pushbike
car: auto, automobile, motor car
motorcycle: motorbike, motor bike, motor cycle
airplane: aeroplane, plane, aircraft
bus: coach, omnibus
truck: lorry
boat: ship
traffic light: stoplight, traffic signal, traffic lamp
fire hydrant: hydrant, fireplug
stop sign: stopsign
parking meter: parkingmeter
cow: cattle
backpack: back pack, rucksack, knapsack
umbrella: brolly
handbag: hand bag, purse
tie: necktie
suitcase: suit case, luggage, trolley case
frisbee: flying disc, flying disk
skis: ski
snowboard: snow board
sports ball: ball
baseball bat: bat
baseball glove: mitt, baseball mitt
skateboard: skate board
surfboard: surf board
tennis racket: racket, racquet, tennis racquet
wine glass: wineglass, glass, glass of wine
cup: mug
sandwich: sarnie
broccoli: brocoli
hot dog: hotdog
donut: doughnut
couch: sofa, settee
potted plant: plant, houseplant, house plant, pot plant, flowerpot, flower pot
dining table: table, dinner table, kitchen table
toilet: loo, lavatory
tv: television, telly, tv set, tv screen, television set, television screen
laptop: notebook computer, laptop computer
mouse: computer mouse
remote: remote control, remote controller, tv remote
keyboard: computer keyboard
cell phone: cellphone, phone, mobile, mobile phone, smartphone, smart phone, telephone, handset
microwave: microwave oven
oven: stove, cooker
sink: washbasin, basin
refrigerator: fridge
clock: wall clock
scissors: scissor
teddy bear: teddy
hair drier: hair dryer, hairdryer, hairdrier, blow dryer
toothbrush: tooth brush
""")
"""Other names of the same things."""

NARROWER = _table(
    """
person: man, woman, boy, girl, child, kid, baby, toddler, teenager, adult, guy, lady, gentleman, bloke, dude, \
pedestrian, walker, runner, passenger, driver, cyclist, biker, rider, player, worker, policeman, policewoman, visitor, \
customer, student, teacher, soldier, dancer, skier, surfer, skater, tourist, stranger, intruder, face, body
bicycle: mountain bike, tandem, e bike, ebike
car: taxi, cab, suv, sedan, hatchback, estate car, sports car, police car, jeep, van, minivan
motorcycle: scooter, moped, vespa
airplane: jet, airliner, jumbo jet
bus: minibus, double decker
train: tram, locomotive, metro, tube train, railcar
truck: pickup, pickup truck, fire engine, fire truck, tractor unit, semi, dump truck
boat: sailboat, ferry, yacht, canoe, kayak, dinghy, rowboat
bird: pigeon, duck, seagull, gull, crow, sparrow, swan, goose, chicken, hen, parrot, eagle
cat: kitten, kitty, tomcat
dog: puppy, pup, doggy, hound, poodle, labrador, terrier
horse: pony, foal, mare, stallion
sheep: lamb, ewe, ram
cow: bull, calf, ox
bear: grizzly, polar bear
backpack: school bag, schoolbag
handbag: shoulder bag, tote bag
sports ball: football, soccer ball, basketball, tennis ball, volleyball, baseball, golf ball, rugby ball
bottle: flask, water bottle, wine bottle, beer bottle
wine glass: goblet, champagne glass
cup: teacup, coffee cup, tumbler, beaker
cake: cupcake, birthday cake
chair: armchair, stool, office chair, wheelchair
knife: penknife, dagger
bowl: salad bowl
potted plant: bonsai, cactus
tv: monitor, screen, display, computer monitor, computer screen
laptop: macbook, netbook, chromebook
cell phone: iphone, android phone
book: paperback, hardback, textbook
clock: alarm clock
""".replace("\\\n", "")
)
"""Kinds of a class: found, but not told apart from the rest of it."""

IRREGULAR_PLURALS = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "knives": "knife",
    "gentlemen": "gentleman", "policemen": "policeman", "policewomen": "policewoman", "geese": "goose", "oxen": "ox",
    "calves": "calf", "buses": "bus", "busses": "bus", "ladies": "lady", "babies": "baby", "feet": "foot",
    "teeth": "tooth",
}  # fmt: skip

AMBIGUOUS = {
    "glasses": ("wine glass", "person"),
    "spectacles": ("person",),
    "bags": ("backpack", "handbag", "suitcase"),
}
"""Words whose plain reading would as often be wrong as right, with what may have been meant."""

RELATED: dict[str, tuple[str, ...]] = {
    "bag": ("backpack", "handbag", "suitcase"), "vehicle": ("car", "truck", "bus"), "animal": ("dog", "cat", "bird"),
    "pet": ("dog", "cat", "bird"), "fruit": ("apple", "banana", "orange"), "food": ("pizza", "sandwich", "cake"),
    "vegetable": ("broccoli", "carrot"), "helmet": ("person", "motorcycle", "bicycle"), "hat": ("person",),
    "cap": ("person",), "shirt": ("person", "tie"), "jacket": ("person",), "coat": ("person",), "shoe": ("person",),
    "head": ("person",), "hand": ("person",), "eye": ("person",), "foot": ("person",), "sunglasses": ("person",),
    "dress": ("person",), "crowd": ("person",), "team": ("person",), "computer": ("laptop", "keyboard", "tv"),
    "tablet": ("cell phone", "laptop", "book"), "ipad": ("cell phone", "laptop"), "desk": ("dining table", "chair"),
    "furniture": ("chair", "couch", "dining table"), "flower": ("potted plant", "vase"), "tree": ("potted plant",),
    "can": ("bottle", "cup"), "drink": ("cup", "bottle", "wine glass"), "coffee": ("cup",), "tea": ("cup",),
    "water": ("bottle", "cup"), "wine": ("wine glass", "bottle"), "plate": ("bowl", "dining table"),
    "dish": ("bowl", "cup"), "cutlery": ("fork", "knife", "spoon"), "pen": ("book", "remote"), "paper": ("book",),
    "box": ("suitcase", "book"), "watch": ("clock",), "toy": ("teddy bear", "sports ball", "kite"),
    "wheel": ("bicycle", "car", "motorcycle"), "tyre": ("car", "truck"), "sign": ("stop sign", "traffic light"),
    "light": ("traffic light",), "lamp": ("traffic light", "potted plant"), "door": ("refrigerator",),
    "drone": ("airplane", "kite"), "helicopter": ("airplane",), "fish": ("bird",), "tiger": ("cat",), "lion": ("cat",),
    "wolf": ("dog",), "fox": ("dog",), "donkey": ("horse",), "camel": ("horse",), "goat": ("sheep",), "pig": ("cow",),
    "rat": ("cat",), "seat": ("chair", "bench", "couch"), "everything": ("person", "car", "dog"),
    "burger": ("sandwich",), "bread": ("sandwich", "cake"), "pot": ("potted plant", "bowl"), "pan": ("bowl", "oven"),
    "racket sport": ("tennis racket",), "printer": ("microwave", "laptop"), "headphones": ("person", "cell phone"),
}  # fmt: skip
"""What may serve instead of words that name no class."""

FILLERS = _words(
    "a an the this that these those my your our his her their its all every each any some both several many few "
    "please track follow find show detect spot watch highlight segment mark me us look for"
)
"""Words that change nothing about which things are meant. They are dropped without a word."""

POSTMODIFIERS = _words(
    "with without in on at near by behind under over beside next from to of inside outside through across along "
    "around between among above below like who whom whose which that wearing holding carrying riding sitting standing "
    "walking running there here now against into onto left right having"
)
"""Words after which a phrase only says which ones of the things are meant."""

MEASURES = _words(
    "pair bunch group crowd herd flock slice piece lot lots kind kinds type types set pack row couple pairs slices "
    "pieces groups"
)
"""`a pair of scissors` is about scissors."""

COLOURS = _words(
    "black white red green blue yellow orange purple violet pink brown grey gray silver golden gold beige dark light "
    "bright turquoise"
)
