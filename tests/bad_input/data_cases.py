"""Bad data sets by name, one table a form; part of :mod:`tests.bad_input.cases`."""

from __future__ import annotations

from pathlib import Path

from tests.bad_input.worlds import (
    Case,
    Spoil,
    annotation,
    coco,
    image_entry,
    instances,
    mask,
    masks,
    picture,
    text,
    voc,
    xml,
    yolo,
)

CORNERS = {"image_id": 0, "category_id": 1, "bbox": [30, 20, 45, 30]}


def cut(path: str) -> Spoil:
    def spoil(data: Path) -> None:
        file = data / path
        file.write_bytes(file.read_bytes()[:1000])

    return spoil


XML_FILES = [
    Case("a folder that is not there", voc(lambda d: None, "{name: voc, root: date}")),
    Case("an XML file cut short", voc(xml("<annotation><object>"))),
    Case("XML of another kind", voc(xml("<annotations/>"))),
    Case("an object without a name", voc(xml("<name>dog</name>", ""))),
    Case("an object without a corner", voc(xml("<xmax>20</xmax>", ""))),
    Case("a coordinate that is no number", voc(xml("<xmin>3<", "<xmin>left<"))),
    Case("a coordinate that is not finite", voc(xml("<xmin>3<", "<xmin>nan<"))),
    Case(
        "a mark that is neither 0 nor 1", voc(xml("<bndbox>", "<difficult>no</difficult><bndbox>"))
    ),
    Case("the XML of another image", voc(xml("<width>48<", "<width>50<"))),
    Case(
        "a class that is not in the list",
        voc(xml("dog", "dig"), "{name: voc, root: data, classes: [dog]}"),
    ),
    Case("an image cut short", voc(cut("JPEGImages/0.png"))),
    Case("a text file called .png", voc(lambda d: text(d / "JPEGImages/0.png", "no picture"))),
    Case("an image without annotation", voc(lambda d: (d / "Annotations/0.xml").unlink())),
    Case("annotation without an image", voc(lambda d: (d / "JPEGImages/0.png").unlink())),
    Case(
        "fractions that do not sum to 1",
        voc(lambda d: None, "{name: voc, root: data, fractions: [0.5, 0.2, 0.2]}"),
    ),
    Case("an empty list of images", voc(lambda d: text(d / "ImageSets/Main/train.txt", "\n"))),
    Case(
        "an image in two splits",
        voc(
            lambda d: [
                text(d / f"ImageSets/Main/{s}.txt", "0\n1\n") for s in ("train", "val", "test")
            ]
        ),
    ),
]

JSON_FILES = [
    Case("an empty JSON file", coco("")),
    Case("JSON cut short", coco('{"images": [')),
    Case("JSON of another kind", coco('{"shapes": []}')),
    Case("JSON nested without end", coco('{"images": ' + "[" * 100_000)),
    Case("a list twice", coco('{"images": [], "images": []}')),
    Case("a box with three numbers", annotation(bbox=[1, 2, 3])),
    Case("a box with a word", annotation(bbox=[1, 2, "wide", 5])),
    Case("a box with true", annotation(bbox=[1, 2, True, 5])),
    Case("a box beyond all numbers", annotation(bbox=[1, 2, 10**400, 5])),
    Case("an unknown category", annotation(category_id=7)),
    Case("an image id as text", annotation(image_id="0")),
    Case("an image id that is not listed", annotation(image_id=99)),
    Case("a crowd mark as text", annotation(iscrowd="no")),
    Case("a polygon with two points", annotation(segmentation=[[1, 1, 6, 1]])),
    Case("a polygon far outside", annotation(segmentation=[[1, 1, 9e6, 1, 6, 6]])),
    Case(
        "run lengths that do not fill the image",
        annotation(segmentation={"counts": [7], "size": [32, 48]}),
    ),
    Case(
        "run lengths that are damaged", annotation(segmentation={"counts": "~~", "size": [32, 48]})
    ),
    Case("a file name that is none", image_entry(file_name="")),
    Case("an image that is not there", image_entry(file_name="7.png")),
    Case("a height as text", image_entry(height="32")),
    Case("a size that is not the image's", image_entry(width=50)),
    Case("two images with one id", image_entry(id=1)),
    Case(
        "two categories with one name",
        coco(lambda c: c["categories"].append({"id": 2, "name": "dog"})),
    ),
    Case("no box at all", coco(lambda c: c.update(annotations=[]))),
    Case(
        "boxes as shares of the image",
        coco(lambda c: [a.update(bbox=[0.1, 0.1, 0.3, 0.3]) for a in c["annotations"]]),
    ),
    Case(
        "corners in place of width and height",
        coco(lambda c: c.update(annotations=[CORNERS] * 10)),
    ),
]

TEXT_FILES = [
    Case("a line of four values", yolo("0 .5 .5 .2")),
    Case("a line with a word", yolo("0 .5 .5 .2 wide")),
    Case("commas between the values", yolo("0,.5,.5,.2,.2")),
    Case("pixels in place of shares", yolo("0 24 16 10 10")),
    Case("a class that has no name", yolo("3 .5 .5 .2 .2")),
    Case("a negative class", yolo("-1 .5 .5 .2 .2")),
    Case("a class that is no whole number", yolo("0.5 .5 .5 .2 .2")),
    Case("labels that are no text", yolo(b"\xff\xfe\x00")),
    Case("names that are not numbered from 0", yolo(names="names: {1: dog}")),
    Case("a name that is none", yolo(names="names: [dog, null]")),
    Case("a class twice", yolo(names="names: [dog, dog]")),
    Case("no names", yolo(names="nc: 2")),
]

MASK_FILES = [
    Case("a mask with a value that is no class", masks(lambda d: mask(d / "masks/0.png", 9))),
    Case("a mask of another size", masks(lambda d: mask(d / "masks/0.png", width=20))),
    Case("a mask in colour", masks(lambda d: picture(d / "masks/0.png"))),
    Case("a mask that is no image", masks(lambda d: text(d / "masks/0.png", b""))),
    Case("an image without a mask", masks(lambda d: (d / "masks/0.png").unlink())),
    Case("two masks for one image", masks(lambda d: mask(d / "masks/0.bmp"))),
    Case("two classes for binary masks", masks(lambda d: None, "classes: [a, b]")),
    Case("a threshold out of range", masks(lambda d: None, "threshold: 300")),
    Case("an unknown layout", instances(lambda d: None, "dsb")),
    Case("an instance of another size", instances(lambda d: mask(d / "0/masks/1.png", width=20))),
    Case("two images in one folder", instances(lambda d: picture(d / "0/images/b.png"))),
    Case("a folder without masks", instances(lambda d: (d / "0/masks/1.png").unlink())),
]
